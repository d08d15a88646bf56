"""Doxygen's input filter: turns the columns of the headers' comments into Doxygen's commands.

    in    s    a store             ->  @param[in] s a store
    cost  one write to the kernel  ->  - **cost** one write to the kernel
    HOTCOLD_OK  stored             ->  @retval HOTCOLD_OK stored

The comments are written to be read in the header. A parameter that a slot does not name, or one
that it names and that is none, becomes a warning of Doxygen's, and ends the build.
"""

import re
import sys

PARAMETERS = re.compile(r"(in|out) +(\w+) +(.*)")
MORE = re.compile(r" {6}(\w+) +(.*)")
STATUS = re.compile(r"(HOTCOLD_[A-Z_]+)  +(.*)")
# The slots of a function, and the rules on top of a header.
SLOT = re.compile(r"(owns|cost|safe|durable|after|since) +(.*)")
RULE = re.compile(
    "(Status|Outputs|NULL|Owning|Threads|Closing|Forking|Callbacks|Growing|Failing|Bytes in) +(.*)"
)
# The table of options: its last column goes on below itself.
ROW = re.compile(r"([a-z_]+)  +(\S+(?: name)?)  +(\S.*)")


def convert(comment: "list[str]", item: "re.Pattern[str]") -> str:
    """The text of one comment, without the marks that make it one."""
    out: "list[str]" = []
    mode = ""
    for line in comment:
        line = line.replace("#if", r"\#if")  # to Doxygen a hash sign begins a link
        if match := PARAMETERS.fullmatch(line):
            mode = match[1]
            out.append(f"@param[{mode}] {match[2]} {match[3]}")
        elif mode in ("in", "out") and (match := MORE.fullmatch(line)):
            out.append(f"@param[{mode}] {match[1]} {match[2]}")
        elif match := STATUS.fullmatch(line):
            mode = "status"
            out.append(f"@retval {match[1]} {match[2]}")
        elif match := item.fullmatch(line):
            mode = "item"
            out += ["", f"- **{match[1]}** {match[2]}"]
        elif match := ROW.fullmatch(line):
            out.append("| " + " | ".join(match.groups()) + " |")
            out += ["| --- | --- | --- |"] if mode != "row" else []
            mode = "row"
        elif mode == "row" and line.startswith(" "):
            out[-1] = out[-1].removesuffix("|") + line.strip() + " |"
        elif mode and line.startswith(" "):
            out.append("  " + line.strip())
        else:
            mode = ""
            out.append(line)
    return "\n".join(out)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    # The comment on top of a file is not yet Doxygen's, and two of its lines are not for readers of a page.
    top = re.match(r"/\*\n(?: \*.*\n)+|(?://.*\n)+", text)[0]
    lines = [re.sub(r"^(/\*| \*/| \*|//) ?", "", line) for line in top.splitlines()]
    lines = [line for line in lines if not line.startswith(("SPDX", "Generated"))]
    text = text.removeprefix(top)
    # The macros are there for #if; the enumerators of the same names are documented.
    text = re.sub(r"^#define HOTCOLD_VERSION.*\n", "", text, flags=re.MULTILINE)
    print(f"/** @file\n{convert(lines, RULE)}\n*/")
    block = re.compile(r"^( *)/\*\*\n((?: *\*(?!/).*\n)+) *\*/", re.MULTILINE)
    print(block.sub(lambda found: f"{found[1]}/**\n{{}}\n*/".format(
        convert([re.sub(r"^ *\* ?", "", line) for line in found[2].splitlines()], SLOT)
    ), text))


main()
