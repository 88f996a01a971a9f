"""Numbers of clang's cursors, types and tokens, by their names there. Source: ``clang-c/Index.h`` of
version 18."""

from typing import Final

__all__ = ["is_decl", "is_expression", "is_statement", "is_valid"]

CXCursor_StructDecl: Final = 2
CXCursor_UnionDecl: Final = 3
CXCursor_EnumDecl: Final = 5
CXCursor_FieldDecl: Final = 6
CXCursor_EnumConstantDecl: Final = 7
CXCursor_FunctionDecl: Final = 8
CXCursor_VarDecl: Final = 9
CXCursor_ParmDecl: Final = 10
CXCursor_TypedefDecl: Final = 20
CXCursor_TypeRef: Final = 43
CXCursor_MemberRef: Final = 47
CXCursor_LabelRef: Final = 48
CXCursor_UnexposedExpr: Final = 100
CXCursor_DeclRefExpr: Final = 101
CXCursor_MemberRefExpr: Final = 102
CXCursor_CallExpr: Final = 103
CXCursor_IntegerLiteral: Final = 106
CXCursor_StringLiteral: Final = 109
CXCursor_ParenExpr: Final = 111
CXCursor_UnaryOperator: Final = 112
CXCursor_BinaryOperator: Final = 114
CXCursor_CStyleCastExpr: Final = 117
CXCursor_GenericSelectionExpr: Final = 122
CXCursor_LabelStmt: Final = 201
CXCursor_TranslationUnit: Final = 350
CXCursor_PreprocessingDirective: Final = 500
CXCursor_MacroDefinition: Final = 501
CXCursor_MacroExpansion: Final = 502
CXCursor_InclusionDirective: Final = 503

CXBinaryOperator_Assign: Final = 22
CXLinkage_External: Final = 4
CX_SC_Extern: Final = 2
CXType_Pointer: Final = 101

CXToken_Punctuation: Final = 0
CXToken_Keyword: Final = 1
CXToken_Identifier: Final = 2
CXToken_Comment: Final = 4

CXDiagnostic_Warning: Final = 2
CXDiagnostic_Error: Final = 3
CXDiagnostic_Fatal: Final = 4

CXChildVisit_Break: Final = 0
CXChildVisit_Continue: Final = 1
CXChildVisit_Recurse: Final = 2


def is_decl(kind: int) -> bool:
    """Tell if a cursor of this kind declares something."""
    return 1 <= kind <= 39


def is_expression(kind: int) -> bool:
    """Tell if a cursor of this kind is an expression."""
    return 100 <= kind <= 199


def is_statement(kind: int) -> bool:
    """Tell if a cursor of this kind is a statement."""
    return 200 <= kind <= 299


def is_valid(kind: int) -> bool:
    """Tell if a cursor of this kind stands for something."""
    return not 70 <= kind <= 73
