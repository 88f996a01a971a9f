"""The functions of libclang that are asked, by their own names.

The package ``libclang`` has a binding, too, which makes objects of every cursor; a file has ten thousands
of them, so that here they stay structures. Only what is used is declared. Source: ``clang-c/Index.h`` of
version 18.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_uint, c_ulong, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from ksurf.errors import KsurfError

__all__ = [
    "CXCursor",
    "CXSourceLocation",
    "CXSourceRange",
    "CXToken",
    "CXType",
    "CXUnsavedFile",
    "Visitor",
    "library",
    "raw_text",
    "text",
]


class CXString(Structure):
    """``CXString``."""

    _fields_ = [("data", c_void_p), ("private_flags", c_uint)]


class CXSourceLocation(Structure):
    """``CXSourceLocation``."""

    _fields_ = [("ptr_data", c_void_p * 2), ("int_data", c_uint)]


class CXSourceRange(Structure):
    """``CXSourceRange``."""

    _fields_ = [("ptr_data", c_void_p * 2), ("begin_int_data", c_uint), ("end_int_data", c_uint)]


class CXSourceRangeList(Structure):
    """``CXSourceRangeList``."""

    _fields_ = [("count", c_uint), ("ranges", POINTER(CXSourceRange))]


class CXCursor(Structure):
    """``CXCursor``."""

    _fields_ = [("kind", c_int), ("xdata", c_int), ("data", c_void_p * 3)]


class CXType(Structure):
    """``CXType``."""

    _fields_ = [("kind", c_int), ("data", c_void_p * 2)]


class CXToken(Structure):
    """``CXToken``."""

    _fields_ = [("int_data", c_uint * 4), ("ptr_data", c_void_p)]


class CXUnsavedFile(Structure):
    """``struct CXUnsavedFile``."""

    _fields_ = [("filename", c_char_p), ("contents", c_char_p), ("length", c_ulong)]


Visitor = CFUNCTYPE(c_int, CXCursor, CXCursor, c_void_p)
"""``CXCursorVisitor``: the cursor, its parent, and nothing."""
InclusionVisitor = CFUNCTYPE(None, c_void_p, POINTER(CXSourceLocation), c_uint, c_void_p)
"""``CXInclusionVisitor``."""

_UINTS = (POINTER(c_void_p), POINTER(c_uint), POINTER(c_uint), POINTER(c_uint))

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    # Name: what it returns, what it takes.
    "clang_Cursor_getArgument": (CXCursor, CXCursor, c_uint),
    "clang_Cursor_getNumArguments": (c_int, CXCursor),
    "clang_Cursor_getStorageClass": (c_int, CXCursor),
    "clang_annotateTokens": (None, c_void_p, POINTER(CXToken), c_uint, POINTER(CXCursor)),
    "clang_createIndex": (c_void_p, c_int, c_int),
    "clang_disposeDiagnostic": (None, c_void_p),
    "clang_disposeIndex": (None, c_void_p),
    "clang_disposeSourceRangeList": (None, POINTER(CXSourceRangeList)),
    "clang_disposeString": (None, CXString),
    "clang_disposeTokens": (None, c_void_p, POINTER(CXToken), c_uint),
    "clang_disposeTranslationUnit": (None, c_void_p),
    "clang_equalCursors": (c_uint, CXCursor, CXCursor),
    "clang_equalTypes": (c_uint, CXType, CXType),
    "clang_getCString": (c_char_p, CXString),
    "clang_getCanonicalCursor": (CXCursor, CXCursor),
    "clang_getCanonicalType": (CXType, CXType),
    "clang_getClangVersion": (CXString,),
    "clang_getCursorBinaryOperatorKind": (c_int, CXCursor),
    "clang_getCursorDefinition": (CXCursor, CXCursor),
    "clang_getCursorExtent": (CXSourceRange, CXCursor),
    "clang_getCursorKind": (c_int, CXCursor),
    "clang_getCursorLexicalParent": (CXCursor, CXCursor),
    "clang_getCursorLinkage": (c_int, CXCursor),
    "clang_getCursorLocation": (CXSourceLocation, CXCursor),
    "clang_getCursorReferenced": (CXCursor, CXCursor),
    "clang_getCursorSemanticParent": (CXCursor, CXCursor),
    "clang_getCursorSpelling": (CXString, CXCursor),
    "clang_getCursorType": (CXType, CXCursor),
    "clang_getCursorUSR": (CXString, CXCursor),
    "clang_getDiagnostic": (c_void_p, c_void_p, c_uint),
    "clang_getDiagnosticLocation": (CXSourceLocation, c_void_p),
    "clang_getDiagnosticSeverity": (c_int, c_void_p),
    "clang_getDiagnosticSpelling": (CXString, c_void_p),
    "clang_getExpansionLocation": (None, CXSourceLocation, *_UINTS),
    "clang_getFile": (c_void_p, c_void_p, c_char_p),
    "clang_getFileLocation": (None, CXSourceLocation, *_UINTS),
    "clang_getFileName": (CXString, c_void_p),
    "clang_getIncludedFile": (c_void_p, CXCursor),
    "clang_getInclusions": (None, c_void_p, InclusionVisitor, c_void_p),
    "clang_getLocationForOffset": (CXSourceLocation, c_void_p, c_void_p, c_uint),
    "clang_getNumDiagnostics": (c_uint, c_void_p),
    "clang_getPointeeType": (CXType, CXType),
    "clang_getRange": (CXSourceRange, CXSourceLocation, CXSourceLocation),
    "clang_getRangeEnd": (CXSourceLocation, CXSourceRange),
    "clang_getRangeStart": (CXSourceLocation, CXSourceRange),
    "clang_getSkippedRanges": (POINTER(CXSourceRangeList), c_void_p, c_void_p),
    "clang_getSpellingLocation": (None, CXSourceLocation, *_UINTS),
    "clang_getTranslationUnitCursor": (CXCursor, c_void_p),
    "clang_getTypeDeclaration": (CXCursor, CXType),
    "clang_getTypeSpelling": (CXString, CXType),
    "clang_getTypedefDeclUnderlyingType": (CXType, CXCursor),
    "clang_isCursorDefinition": (c_uint, CXCursor),
    "clang_parseTranslationUnit2FullArgv": (
        *(c_int, c_void_p, c_char_p, POINTER(c_char_p), c_int),
        *(POINTER(CXUnsavedFile), c_uint, c_uint, POINTER(c_void_p)),
    ),
    "clang_saveTranslationUnit": (c_int, c_void_p, c_char_p, c_uint),
    "clang_tokenize": (None, c_void_p, CXSourceRange, POINTER(POINTER(CXToken)), POINTER(c_uint)),
    "clang_visitChildren": (c_uint, CXCursor, Visitor, c_void_p),
}


@cache
def library() -> Any:
    """Load the library that the package ``libclang`` brings."""
    try:
        import clang

        path = Path(clang.__path__[0]) / "native" / "libclang.so"
        loaded = ctypes.CDLL(str(path))
    except (ImportError, OSError) as error:
        raise KsurfError(f"libclang cannot be loaded: {error}", "pip install 'libclang>=18.1,<19'") from error
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def raw_text(string: CXString) -> bytes:
    """Take a string's bytes, and give it back to the library."""
    clang = library()
    value: bytes | None = clang.clang_getCString(string)
    clang.clang_disposeString(string)
    return value or b""


def text(string: CXString) -> str:
    """Take a string, and give it back to the library."""
    return raw_text(string).decode("utf-8", "replace")
