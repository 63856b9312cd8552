"""Where tests keep fits of the modeling core."""


class FitsInMemory:
    """A store of fits that counts what is put into it."""

    def __init__(self):
        self.software, self.blobs, self.puts = "these versions", {}, []

    def get(self, key):
        return self.blobs.get(key)

    def put(self, key, blob):
        self.puts.append(key)
        self.blobs[key] = blob

    def keep_only(self, keys):
        self.blobs = {key: blob for key, blob in self.blobs.items() if key in keys}
