"""What is known of a file that was read, to notice that it has changed."""

import dataclasses

# Clocks of file systems are coarse: a file that changed twice within their
# granularity has the same times.
_CLOCK_SLACK_NS = 2 * 10**9


@dataclasses.dataclass(frozen=True)
class FileState:
    """A file as it was when its content was hashed.

    Attributes:
        size, mtime_ns, ctime_ns: As `os.stat` gave them.
        sha256: Hash of the content.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str

    def has_times_of(self, stat):
        """Tell whether a file has this size and these times."""
        found = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        return found == (self.size, self.mtime_ns, self.ctime_ns)

    def is_trusted(self, stat, hashed_at_ns):
        """Tell whether a file still has the content that was hashed.

        Args:
            stat: Its `os.stat_result` now.
            hashed_at_ns: Time before which it was not hashed.
        """
        # Anybody can set the modification time, as copies do.
        changed_ns = max(self.mtime_ns, self.ctime_ns)
        is_old = changed_ns < hashed_at_ns - _CLOCK_SLACK_NS
        return is_old and self.has_times_of(stat)
