#!/usr/bin/env python3
"""manual.py SOURCE PROGRAM...: the source of a manual page, with what programs say of themselves in it.

A line of SOURCE "@COMMANDS@" becomes all that 'cgguard --help' and 'cgguard COMMAND --help' say, so that the
page can't lack an option; "@FUNCTIONS@" with a header as PROGRAM its declarations and their comments.
"""
import re
import subprocess
import sys


def quote(text):
    """For scdoc, which takes these for its own."""
    return re.sub(r'([\\*_`<>#~\[\]])', r'\\\1', text)


def said(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 or not done.stdout:
        sys.exit(f"{' '.join(command)}: status {done.returncode}, no help")
    return done.stdout


def literal(lines):
    while lines and not lines[-1].strip():
        lines.pop()
    return '```\n' + '\n'.join(lines) + '\n```\n'


def options(lines):
    """'  --opt ARG   what' and what goes on below it -> a term and its text."""
    out, text = [], []

    def end():
        if text:
            out.append('\t' + quote(' '.join(text)) + '\n')
            text.clear()

    for line in lines:
        m = re.match(r'  (\S(?:.*?\S)?)(?:  +(\S.*))?$', line)
        if m and not line.startswith('   '):
            end()
            name, _, rest = m.group(1).partition(' ')
            out.append(f'*{quote(name)}*' + (f' {quote(rest)}' if rest else ''))
            text.append(m.group(2) or '')
        else:
            text.append(line.strip())
    end()
    return '\n'.join(out)


def command(program, name):
    """'name - summary', usage, paragraphs of text and lists of options, each a block between blank lines."""
    title, _, rest = said(program, name, '--help').partition('\n')
    out = [f'## {quote(title.removeprefix("cgguard "))}\n']
    for block in re.split(r'\n\s*\n', rest.strip('\n')):
        lines = block.split('\n')
        usage = []
        while lines and re.match(r'Usage:|       cgguard', lines[0]):
            usage.append(lines.pop(0).removeprefix('Usage: ').strip())
        if usage:
            out.append(literal(usage))
        while lines:
            indented = lines[0].startswith('  ')
            part = []
            while lines and lines[0].startswith('  ') == indented:
                part.append(lines.pop(0))
            out.append(options(part) if indented else quote(' '.join(part)) + '\n')
    return '\n'.join(out)


def commands(program):
    names = re.findall(r'^  ([a-z]+)   *\S', said(program, '--help'), re.M)
    return '\n'.join(command(program, name) for name in names)


def functions(headers):
    """Each comment of a header with the declaration that follows it."""
    out = []
    for header in headers:
        text = open(header, encoding='utf-8').read()
        for comment, declaration in re.findall(
                r'/\*\n?((?:[^*]|\*(?!/))*)\*/\n((?:[a-z][\w *]*\bcgg_\w+\((?:[^;{]|\n)*?\)[^;{]*;\n)+)', text):
            words = re.sub(r'^\s*\* ?', '', comment, flags=re.M).strip()
            out.append(literal((words + '\n\n' + declaration.strip()).split('\n')))
    return '\n'.join(out)


def main():
    text = open(sys.argv[1], encoding='utf-8').read()
    text = re.sub('^@COMMANDS@$', lambda _: commands(sys.argv[2]), text, flags=re.M) if '@COMMANDS@' in text else text
    text = re.sub('^@FUNCTIONS@$', lambda _: functions(sys.argv[2:]), text, flags=re.M) if '@FUNCTIONS@' in text else text
    sys.stdout.write(text)


main()
