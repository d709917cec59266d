"""Numbers of a run as a table that a spreadsheet opens."""

import csv


class CSV:
    """RUN/numbers.csv with the columns step, name, value. Pictures are left out."""

    def __init__(self, folder, after):
        path = folder / "numbers.csv"
        rows = []
        if after is not None and path.exists():  # a resumed run forgets what came after its checkpoint
            before = csv.reader(path.read_text().splitlines()[1:])
            rows = [row for row in before if int(row[0]) <= after]
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerows([["step", "name", "value"], *rows])

    def config(self, recipe):
        pass

    def scalars(self, values, step):
        self._writer.writerows([step, name, value] for name, value in values.items())
        self._file.flush()

    def images(self, name, images, step):
        pass

    def close(self):
        self._file.close()
