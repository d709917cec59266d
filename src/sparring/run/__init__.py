"""What every run has, a GAN's or a classifier's: folder, lock, checkpoints, log, interrupts, ranks."""
