"""Good files, damaged by chance."""

from random import Random

JUNK = [
    b"\0",
    b"\xff",
    b"\xe9",
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\\",
    b"\t",
    b" ",
    b"-",
    b"e",
    b"9",
    b".",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x8f\x94",
]


def cut_short(file: bytes, chance: Random) -> bytes:
    return file[: chance.randrange(len(file))]


def with_junk(file: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(file))
    return file[:place] + chance.choice(JUNK) * chance.randint(1, 3) + file[place:]


def with_a_hole(file: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(file))
    return file[:place] + file[place + chance.randint(1, 30) :]


def with_other_bytes(file: bytes, chance: Random) -> bytes:
    data = bytearray(file)
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


DAMAGES = [cut_short, with_junk, with_a_hole, with_other_bytes]
