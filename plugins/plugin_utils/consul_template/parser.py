# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A template's tokens as a tree, in which every name is known and every branch has its end."""

from __future__ import annotations

import typing as t

from . import lexer, literals, tree
from .faults import Fault, together
from .functions import known
from .lexer import Piece, Token
from .words import Words

KEYWORDS = ("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue")
_NEEDS = {"if": "a condition", "with": "a value", "range": "what it goes over"}
_CONSTANTS = {"true": True, "false": False, "nil": None}


def words(text: str, left: str, right: str) -> set[str]:
    """The keywords and functions of a text. Raises `Fault`."""
    return {token.text for piece in lexer.pieces(text, left, right) for token in piece.tokens or () if token.kind == "word"}


def parse(text: str, left: str = "{{", right: str = "}}", watched: bool = False) -> tree.Template:
    """`watched`: it is a real consul-template that renders it. Raises `Fault`."""
    parser = _Parser(lexer.pieces(text, left, right), watched)
    try:
        parsed = parser.template()
    except RecursionError:
        raise Fault(1, "is nested too deeply to be parsed") from None
    except Fault as fault:
        raise together([*parser.unknown.values(), *parser.wrong, fault]) from None
    if parser.unknown or parser.wrong:
        raise together([*parser.unknown.values(), *parser.wrong])
    return parsed


class _Parser:
    def __init__(self, pieces: t.Iterator[Piece], watched: bool) -> None:
        self._pieces, self._watched = pieces, watched
        self._defined: dict[str, tree.Nodes] = {}
        self._variables: list[str] = ["$"]
        self._loops = 0
        self._line = 1
        # The functions that do not exist here, by their names: all of them are reported at once.
        self.unknown: dict[str, Fault] = {}
        # What is wrong within actions, beside which the rest can be read.
        self.wrong: list[Fault] = []
        # What follows the `end` or `else` that was met last.
        self._rest = Words((), 1)

    def template(self) -> tree.Template:
        body, ended = self._nodes(top=True)
        if ended:
            raise Fault(self._line, f"has {ended.text!r} that belongs to nothing")
        return tree.Template(body, self._defined)

    def _nodes(self, top: bool = False) -> tuple[tree.Nodes, Token | None]:
        """Everything up to an `end` or `else` that belongs to something outside; and that word, which `_rest` follows."""
        found: list[t.Any] = []
        for piece in self._pieces:
            if piece.tokens is None:
                found.append(tree.Text(piece.text))
                continue
            self._line = piece.line
            if not piece.tokens:
                raise Fault(piece.line, "has an empty action")
            first, words = piece.tokens[0], Words(piece.tokens, piece.line)
            word = first.text if first.kind == "word" else ""
            if word in ("end", "else"):
                self._rest = words
                words.next()
                return tuple(found), first
            if word in KEYWORDS:
                words.next()
                node = self._keyword(word, words, piece.line, top)
                found += [node] if node else []
            else:
                found.append(tree.Action(self._whole(words, piece.tokens, "|")))
        return tuple(found), None

    def _keyword(self, word: str, words: Words, line: int, top: bool) -> t.Any:
        if word in ("if", "with", "range"):
            return self._branch(word, words, line)
        if word in ("break", "continue"):
            words.finished()
            if not self._loops:
                raise Fault(line, f"has {word} outside of a range")
            return tree.Leave(word)
        return self._named(word, words, line, top)

    def _named(self, word: str, words: Words, line: int, top: bool) -> tree.Use | None:
        """define, template, or block, which is both: what is defined has variables and loops of its own."""
        name = words.next()
        if name is None or name.kind != "string":
            raise Fault(line, f"{word} needs a name in quotes")
        called = literals.text(name)
        pipeline = None if words.empty or word == "define" else self._pipeline(words, "")
        words.finished()
        if word == "define" and not top:
            raise Fault(line, "has define inside something else")
        if word in ("define", "block"):
            outer, self._variables, self._loops = (self._variables, self._loops), ["$"], 0
            self._defined[called] = self._until_end(line, word)
            self._variables, self._loops = outer
        return None if word == "define" else tree.Use(line, called, pipeline)

    def _until_end(self, line: int, word: str) -> tree.Nodes:
        body, ended = self._nodes()
        if ended is None or ended.text != "end":
            raise Fault(line, f"{word} has no end")
        self._rest.finished()
        return body

    def _branch(self, kind: str, words: Words, line: int) -> tree.Branch:
        visible = len(self._variables)
        pipeline = self._whole(words, words.left, kind)
        self._loops += kind == "range"
        body, ended = self._nodes()
        self._loops -= kind == "range"
        otherwise: tree.Nodes = ()
        if ended is not None and ended.text == "else":
            rest = self._rest
            if rest.empty:
                otherwise = self._until_end(line, kind)
            else:
                word = rest.next()
                if word is None or word.text != kind or kind == "range":
                    raise Fault(ended.line, "has something after else that cannot be there")
                otherwise = (self._branch(kind, rest, ended.line),)
        elif ended is None:
            raise Fault(line, f"{kind} has no end")
        else:
            self._rest.finished()
        del self._variables[visible:]
        return tree.Branch(line, kind, pipeline, body, otherwise)

    def _whole(self, words: Words, tokens: t.Sequence[Token], kind: str) -> tree.Pipeline:
        """What an action has in `tokens`. What is wrong with it is noted, and its variables are taken to be set."""
        try:
            pipeline = self._pipeline(words, kind)
            words.finished()
        except Fault as fault:
            self.wrong.append(fault)
            self._variables += [token.text for token in tokens if token.kind == "variable"]
            return tree.Pipeline(words.line, (), False, ())
        return pipeline

    def _pipeline(self, words: Words, kind: str) -> tree.Pipeline:
        variables, declares = self._assigned(words, kind)
        commands: list[t.Any] = []
        while True:
            token = words.peek()
            if token is None or token.text in ("|", ")"):
                raise Fault(words.line, _lack(kind, bool(commands), variables, token))
            command = self._command(words, bool(commands))
            if commands and not isinstance(command, (tree.Call, tree.Reach)):
                raise Fault(words.line, "has something after | that is not a function")
            commands.append(command)
            if not words.take("|"):
                break
        # The right side does not see them yet.
        if declares:
            self._variables += variables
        return tree.Pipeline(words.line, tuple(variables), declares, tuple(commands))

    def _assigned(self, words: Words, kind: str) -> tuple[list[str], bool]:
        names, ahead = [], 0
        while (token := words.ahead(ahead)) and token.kind == "variable":
            names.append(token.text)
            behind = words.ahead(ahead + 1)
            if behind and behind.kind == "assign":
                declares = behind.text == ":="
                if not declares:
                    for name in names:
                        self._seen(name, token.line)
                if len(names) > (2 if kind == "range" else 1):
                    raise Fault(token.line, "sets too many variables")
                words.skip(ahead + 2)
                return names, declares
            if not (behind and behind.text == "," and kind == "range"):
                break
            ahead += 2
        return [], False

    def _command(self, words: Words, piped: bool) -> t.Any:
        token = words.peek()
        operands = []
        while (operand := self._operand(words)) is not None:
            operands.append(operand)
        first, *arguments = operands
        if isinstance(first, tree.Call) and token is not None and token.kind == "word":
            return first._replace(arguments=tuple(arguments))
        if isinstance(first, tree.Value) and first.value is None:
            raise Fault(words.line, "has nil where a value should be")
        if arguments or piped:
            if isinstance(first, tree.Reach) and first.fields:
                return first._replace(arguments=tuple(arguments))
            raise Fault(words.line, "gives arguments to something that is not a function")
        return first

    def _operand(self, words: Words) -> t.Any:
        token = words.peek()
        if token is None or token.text in ("|", ")"):
            return None
        words.next()
        base = self._term(token, words)
        fields = [token.text[1:]] if token.kind == "field" else []
        while (after := words.peek()) and after.kind == "field" and after.glued:
            fields.append(after.text[1:])
            words.next()
        if after and after.glued and after.text not in ("|", ")", ",") and not (token.kind == "sign"):
            raise Fault(token.line, "has two words without a space between them")
        if not fields:
            return base
        if token.kind in ("string", "char", "number"):
            raise Fault(token.line, "asks for a field of a constant")
        return tree.Reach(token.line, base, tuple(fields))

    def _term(self, token: Token, words: Words) -> t.Any:
        if token.kind == "word":
            if token.text in _CONSTANTS:
                return tree.Value(_CONSTANTS[token.text])
            try:
                known(token.text, token.line, self._watched)
            except Fault as fault:
                self.unknown.setdefault(token.text, fault)
            return tree.Call(token.line, token.text, ())
        if token.kind in ("field", "dot"):
            return tree.Reach(token.line, None, ()) if token.kind == "dot" else None
        if token.kind == "variable":
            self._seen(token.text, token.line)
            return tree.Variable(token.line, token.text)
        if token.kind == "string":
            return tree.Value(literals.text(token))
        if token.kind == "char":
            return tree.Value(literals.character(token))
        if token.kind == "number":
            return tree.Value(literals.number(token))
        if token.text == "(":
            pipeline = self._pipeline(words, "")
            if not words.take(")"):
                raise Fault(token.line, "has ( without )")
            return pipeline
        raise Fault(token.line, f"has {token.text!r} where a value should be")

    def _seen(self, name: str, line: int) -> None:
        if name not in self._variables:
            raise Fault(line, f"the variable {name} is not defined here", f"write {name} := ... before it, in the same branch or around it")


def _lack(kind: str, piped: bool, variables: t.Sequence[str], token: Token | None) -> str:
    """What has no value where one is needed."""
    if piped:
        return "has nothing after |"
    if variables:
        return f"sets {', '.join(variables)} to nothing"
    if kind in _NEEDS:
        return f"{kind} lacks {_NEEDS[kind]}"
    return "has nothing before |" if token and token.text == "|" else "has nothing where a value should be"
