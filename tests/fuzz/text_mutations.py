"""Changes of text that keep what its form is: JSON, tables, XML, lines."""

import json
import re
import xml.etree.ElementTree as ElementTree

from mutations import change_bytes, encode, token

_DEEP = (20, 200, 900, 1100, 20_000)


class _Raw(str):
    """Text that stands in JSON as it is."""


class _Pairs(list):
    """An object of JSON, whose keys may occur twice."""


def change_json(rng, data):
    """Change a value, a key or a type anywhere in JSON."""
    try:
        tree = json.loads(data, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return change_bytes(rng, data, [data])
    places = list(_places(tree)) if isinstance(tree, list) else []
    if not places:
        return encode(_dumps(_value(rng, tree)))
    parent, index = rng.choice(places)
    rng.choice((_replace, _replace, _replace, _drop, _double, _rename, _swap))(
        rng, parent, index, places
    )
    try:
        return encode(_dumps(tree))
    except RecursionError:
        return change_bytes(rng, data, [data])


def _places(tree):
    stack = [tree]
    while stack:
        here = stack.pop()
        for index, value in enumerate(here):
            yield here, index
            value = value[1] if isinstance(here, _Pairs) else value
            if isinstance(value, list):
                stack.append(value)


def _get(parent, index):
    entry = parent[index]
    return entry[1] if isinstance(parent, _Pairs) else entry


def _set(parent, index, value):
    if isinstance(parent, _Pairs):
        parent[index] = parent[index][0], value
    else:
        parent[index] = value


def _replace(rng, parent, index, _):
    _set(parent, index, _value(rng, _get(parent, index)))


def _drop(rng, parent, index, _):
    del parent[index]


def _double(rng, parent, index, _):
    parent.insert(rng.randrange(len(parent) + 1), parent[index])


def _rename(rng, parent, index, places):
    if not isinstance(parent, _Pairs):
        return _replace(rng, parent, index, places)
    others = [p[i][0] for p, i in places if isinstance(p, _Pairs)]
    name = rng.choice(others) if rng.random() < 0.7 else token(rng)
    parent[index] = name, parent[index][1]


def _swap(rng, parent, index, places):
    _set(parent, index, _get(*rng.choice(places)))
    if _is_ring(parent):
        _set(parent, index, None)


def _is_ring(tree):
    """Tell whether a list holds itself."""
    stack, seen = [iter(tree)], [id(tree)]
    while stack:
        for value in stack[-1]:
            value = value[1] if isinstance(value, tuple) else value
            if isinstance(value, list):
                if id(value) in seen:
                    return True
                stack.append(iter(value))
                seen.append(id(value))
                break
        else:
            stack.pop()
            seen.pop()
    return False


def _value(rng, old):
    chance = rng.random()
    if chance < 0.35:
        return _Raw(_number(rng))
    if chance < 0.55:
        return token(rng)
    if chance < 0.7:
        return rng.choice((None, True, False, [], _Pairs(), [[]], [None]))
    if chance < 0.8:
        return [old] * rng.choice((1, 2, 3, 100))
    if chance < 0.9:
        return _Pairs([(rng.choice(("a", "type", "name", "")), old)])
    deep = rng.choice(_DEEP)
    return _Raw("[" * deep + "]" * deep)


def _number(rng):
    text = token(rng)
    return text if re.match(r"-?\d|NaN|Inf", text) else str(rng.randrange(300))


def _dumps(value):
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, _Pairs):
        inside = (f"{json.dumps(k)}:{_dumps(v)}" for k, v in value)
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dumps, value)) + "]"
    return json.dumps(value)


def change_table(rng, data):
    """Change a cell, a row, a column or what separates them."""
    lines = data.decode("utf-8", "replace").split("\n")
    row = rng.randrange(len(lines))
    delimiter = max(",;\t", key=lines[0].count)
    cells = lines[row].split(delimiter)
    place = rng.randrange(len(cells))
    change = rng.randrange(8)
    if change < 3:
        cells[place] = token(rng)
    elif change == 3:
        del cells[place]
    elif change == 4:
        cells.insert(place, token(rng))
    elif change == 5:
        cells[place] = f'"{cells[place]}' + '"' * rng.randrange(3)
    lines[row] = delimiter.join(cells)
    if change == 6:
        lines[row:row] = [rng.choice(lines)] * rng.choice((1, 2, 50))
    elif change == 7:
        return encode("\n".join(lines).replace(delimiter, rng.choice(",;\t ")))
    return encode("\n".join(lines))


def change_lines(rng, data):
    """Change a word or a sign of any text."""
    text = data.decode("utf-8", "replace")
    words = re.findall(r"\w+|\s+|[^\w\s]", text) or [""]
    place = rng.randrange(len(words))
    change = rng.randrange(4)
    if change == 0:
        words[place] = token(rng)
    elif change == 1:
        words[place] = rng.choice(words)
    elif change == 2:
        del words[place]
    else:
        words.insert(place, rng.choice((*"[]{}:,-'\"#\n\t|&*!", "- ", ": ")))
    return encode("".join(words))


def change_xml(rng, data):
    """Change an element: its text, tag, attributes, children."""
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - made here
        return _change_element(rng, root)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError):
        return change_bytes(rng, data, [data])


def _change_element(rng, root):
    elements = list(root.iter())
    here, other = rng.choice(elements), rng.choice(elements)
    change = rng.randrange(7)
    if change < 2:
        here.text = _for_xml(token(rng))
    elif change == 2 and here.attrib:
        here.set(rng.choice(list(here.attrib)), _for_xml(token(rng)))
    elif change == 3:
        here.tag = other.tag
    elif change == 4 and len(here):
        del here[rng.randrange(len(here))]
    elif change == 5 and len(here):
        child = rng.choice(list(here))
        here.extend([child] * rng.choice((1, 2, 30)))
    else:
        text = ElementTree.tostring(root)
        deep = rng.choice(_DEEP)
        inside = b"<a>" * deep + b"</a>" * deep
        entity = b'<!DOCTYPE a [<!ENTITY b "c">]>'
        place = text.find(b">") + 1
        return rng.choice((entity + text, text[:place] + inside + text[place:]))
    return ElementTree.tostring(root)


def _for_xml(text):
    """Leave out what XML does not hold."""
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "?", text)
