"""Names of the classes of a data set of YOLO, from data.yaml or classes.txt.

Of YAML only the key `names` is read, in the forms that tools write it: a list
or numbered names, in brackets or line by line. Anything else is an error, and
no library of YAML is needed.
"""

import pathlib
import re

from keras_patching._faults import few
from keras_patching.data.labels.strict_json import read_text

# One name per line: of LabelImg and Label Studio, of darknet and Roboflow.
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_MEND = "Write it as names: [leaf, fruit], or a line `- leaf` for each."
# Looked for where a run of spaces begins, not at each of them.
_COMMENT = re.compile(r"(?<!\s)\s+#")
_NUMBERED = re.compile(r"(\d{1,9})\s*:\s+(.*)")


def is_yaml(path):
    """Tell a file of YAML by its suffix."""
    return path.suffix.lower() in (".yaml", ".yml") and path.is_file()


def find_names(*folders):
    """Find the names of the classes of a folder of .txt files.

    They are in the folder or beside it; above `labels/` or `labels/train/`
    also two levels up, where the data set begins.

    Args:
        *folders: `pathlib.Path` of the folder, and of the data set.

    Returns:
        Tuple of names in the order of the numbers, and path of the file; or
        `None` twice.

    Raises:
        ValueError: A file of names cannot be used, or two differ.
    """
    levels = []
    for folder in map(pathlib.Path.absolute, folders):
        levels += [folder, folder.parent]
        if "labels" in (folder.name, folder.parent.name):
            levels.append(folder.parent.parent)
    found = {
        path: names
        for level in dict.fromkeys(levels)
        for path in sorted(level.iterdir())
        if (names := _names_of(path)) is not None
    }
    if len(set(found.values())) > 1:
        raise ValueError(
            f"{few(list(found), show=str)} hold different names of classes, "
            "or the same in another order. Remove those that are not meant, "
            "or pass the path of data.yaml as the label file."
        )
    for path, names in found.items():
        return names, path
    return None, None


def read_yaml_names(path):
    """Read the names of the classes from a data.yaml.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        Tuple of names in the order of the numbers.

    Raises:
        ValueError: There is no key `names`, or it is in no form that is read.
    """
    names = _names_of_yaml(path)
    if names is None:
        raise ValueError(
            f"{path}: has no key names, the names of the classes. {_MEND}"
        )
    return names


def has_keypoints(path):
    """Tell whether a data.yaml says that its rows end in keypoints."""
    return bool(re.search(r"^kpt_shape\s*:", read_text(path), re.MULTILINE))


def _names_of(path):
    if path.name in NAME_FILES and path.is_file():
        lines = [line.strip() for line in read_text(path).splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        return _check(path, lines)
    return _names_of_yaml(path) if is_yaml(path) else None


def _names_of_yaml(path):
    """Give the names that a file of YAML holds, or `None` without `names`."""
    lines = read_text(path).splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"names\s*:", line)]
    if not starts:
        return None
    start = starts[0]
    first = _without_comment(lines[start].split(":", 1)[1]).strip()
    rest = _indented(lines[start + 1 :])
    where = f"{path}, line {start + 1}"
    if first.startswith(("[", "{")):
        text = " ".join([first, *rest])
        ends = "]" if first[0] == "[" else "}"
        if not text.endswith(ends):
            raise ValueError(f"{where}: has no {ends} at its end. {_MEND}")
        items = _split(where, text[1:-1])
        numbered = first[0] == "{"
    elif first or not rest:
        raise ValueError(f"{where}: found no list of names. {_MEND}")
    else:
        numbered = not rest[0].startswith("-")
        items = rest if numbered else [_bullet(where, line) for line in rest]
    if numbered:
        items = _in_order(where, items)
    return _check(where, [_unquote(where, item) for item in items])


def _indented(lines):
    """Give the lines of a key's value, without comments and blank lines."""
    found = []
    for line in lines:
        text = _without_comment(line).strip()
        if not text or text.startswith("#"):
            continue
        if not re.match(r"\s|-\s|[\]}]", line):
            break
        found.append(text)
    return found


def _without_comment(line):
    """Leave out a comment.

    What may be in quotation marks is kept, and told as a fault if it is not.
    """
    start = max(line.rfind("'"), line.rfind('"')) + 1
    found = _COMMENT.search(line, start)
    return line[: found.start()] if found else line


def _split(where, text):
    """Split at commas that are in no quotation marks."""
    text = text.strip().removesuffix(",")
    items = re.findall(r"""(?:'[^']*'|"[^"]*"|[^,'"])+""", text)
    if ",".join(items) != text:
        raise ValueError(f"{where}: found {text!r}, which is no list. {_MEND}")
    return [item.strip() for item in items]


def _bullet(where, line):
    if not line.startswith("- "):
        raise ValueError(f"{where}: found {line!r} in names. {_MEND}")
    return line[2:].strip()


def _in_order(where, items):
    """Give the names of `0: leaf`, whose numbers count from 0."""
    matches = [_NUMBERED.fullmatch(item) for item in items]
    if None in matches:
        wrong = items[matches.index(None)]
        raise ValueError(f"{where}: found {wrong!r} in names. {_MEND}")
    numbers = [int(match[1]) for match in matches]
    if sorted(numbers) != list(range(len(numbers))):
        raise ValueError(
            f"{where}: found the numbers {few(numbers)}, expected 0, 1, 2 and "
            f"so on. {_MEND}"
        )
    return [match[2] for _, match in sorted(zip(numbers, matches, strict=True))]


def _unquote(where, text):
    """Give the text of a name, which may be in quotation marks."""
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(r'"[^"\\]*"', text):
        return text[1:-1]
    if re.search(r"^[\"'&*!|>%@`\[{]|: ", text):
        raise ValueError(f"{where}: found {text} as a name. {_MEND}")
    return text


def _check(where, names):
    if not names or "" in names or len(set(names)) < len(names):
        raise ValueError(
            f"{where}: found the names {few(names) or 'of no class'}, expected "
            "a name for each class, none twice. Correct them."
        )
    return tuple(names)
