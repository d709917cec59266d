"""What is made with a trained generator: films between its images, and so on. Each command of it has one file."""
