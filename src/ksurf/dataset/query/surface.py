"""The views that are no tables: what tables tell together about one kind of thing.

They judge nothing; :mod:`ksurf.surface` does. Names of constants are those of the kernel's headers.
"""

from __future__ import annotations

from ksurf.dataset.rows import KFUNC_FLAGS

__all__ = ["MEMBER_DEPTH_LIMIT", "SURFACE_DEFINITIONS", "SURFACE_VIEWS"]

SURFACE_VIEWS: dict[str, str] = {
    "fields": "one row per field of a struct or union of an image, nested ones by their path",
    "enumerators": "one row per enumerator of an enum of an image",
    "bpf_enums": "one row per BPF helper, program type, map type and attach type",
    "lsm_hooks": "one row per LSM hook, with its prototype, and whether it is in the sets for BPF",
    "kfuncs": "one row per kfunc and set that lists it, with flags and program types by name",
    "struct_ops": "one row per struct that BPF programs can implement",
}
"""What each view is for."""

MEMBER_DEPTH_LIMIT = 16
"""Anonymous structs and unions around a member whose names make its path; kernels have six."""

_LEVELS = range(MEMBER_DEPTH_LIMIT)


def _path() -> str:
    """A member's name with those of the members around it, each the nearest before that is less deep."""
    # What has no name is '' first: last_value would pass over a null to a name that is none of its own.
    own = (f"CASE WHEN depth = {level} THEN coalesce(name, '') END" for level in _LEVELS)
    levels = (
        f"CASE WHEN depth > {level} THEN nullif(last_value({text} IGNORE NULLS) OVER inside, '') END"
        for level, text in enumerate(own)
    )
    return f"concat_ws('.', {', '.join(levels)}, name)"


def _flags() -> str:
    named = (f"CASE WHEN flags & {1 << bit} > 0 THEN '{name}' END" for bit, name in enumerate(KFUNC_FLAGS))
    known = len(KFUNC_FLAGS)
    above = f"CASE WHEN flags >> {known} > 0 THEN 'and ' || (flags >> {known} << {known}) END"
    return f"CASE WHEN flags IS NOT NULL THEN concat_ws(' ', {', '.join(named)}, {above}) END"


SURFACE_DEFINITIONS = {
    # A definition without nested members, as nearly all are, needs no search for what is around them.
    "_member_paths": f"""
        WITH nested AS (SELECT DISTINCT definition FROM members WHERE depth > 0)
        SELECT definition, definition_name, position, name AS path, type, bit_offset, byte_size, bit_size,
               tags
        FROM members ANTI JOIN nested USING (definition)
        WHERE name IS NOT NULL AND bit_offset IS NOT NULL
        UNION ALL
        SELECT * FROM (
            SELECT definition, definition_name, position,
                   CASE WHEN name IS NOT NULL THEN {_path()} END AS path, type, bit_offset, byte_size,
                   bit_size, tags
            FROM members SEMI JOIN nested USING (definition)
            WINDOW inside AS (PARTITION BY definition, definition_name ORDER BY position)
        ) WHERE path IS NOT NULL AND bit_offset IS NOT NULL""",
    "fields": """
        SELECT t.kernel, t.image, t.kind, t.name AS struct, p.path AS field, p.type, p.bit_offset,
               p.byte_size, p.bit_size, p.tags
        FROM types t JOIN _member_paths p ON p.definition = t.definition AND p.definition_name = t.name""",
    "enumerators": """
        SELECT t.kernel, t.image, t.name AS enum, m.name,
               m.value + CASE WHEN m.value < 0 AND NOT d.signed THEN 18446744073709551616 ELSE 0 END AS value
        FROM types t
        JOIN members m ON m.definition = t.definition AND m.definition_name = t.name
        JOIN definitions d ON d.key = t.definition AND d.name = t.name
        WHERE m.value IS NOT NULL""",
    "bpf_enums": """
        SELECT kernel, enum, name, value FROM enumerators
        WHERE image = 'vmlinux'
            AND enum IN ('bpf_func_id', 'bpf_prog_type', 'bpf_map_type', 'bpf_attach_type')""",
    # A kernel without a set has null: it does not tell by one.
    "lsm_hooks": """
        WITH kernels_with_sets AS (
            SELECT kernel, bool_or(set = 'bpf_lsm_hooks') AS tells_bpf,
                   bool_or(set = 'sleepable_lsm_hooks') AS tells_sleepable
            FROM btf_ids GROUP BY ALL
        ), sets AS (
            SELECT kernel, name, bool_or(set = 'bpf_lsm_hooks') AS listed,
                   bool_or(set = 'bpf_lsm_disabled_hooks') AS disabled,
                   bool_or(set = 'sleepable_lsm_hooks') AS sleepable
            FROM btf_ids WHERE starts_with(name, 'bpf_lsm_') GROUP BY ALL
        )
        SELECT f.kernel, f.field AS name, replace(f.type, '(*)', f.field) || ';' AS prototype,
               CASE WHEN k.tells_bpf THEN coalesce(s.listed AND NOT s.disabled, false) END AS bpf,
               CASE WHEN k.tells_sleepable THEN coalesce(s.sleepable, false) END AS sleepable
        FROM fields f
        LEFT JOIN kernels_with_sets k ON k.kernel = f.kernel
        LEFT JOIN sets s ON s.kernel = f.kernel AND s.name = 'bpf_lsm_' || f.field
        WHERE f.kind = 'union' AND f.struct = 'security_list_options' AND f.image = 'vmlinux'
            AND contains(f.type, '(*)(')""",
    # BTF_SET8_KFUNCS is 1; before there was one, a set of kfuncs is told by what it is registered for. One
    # that is registered for fmod_ret lists none, whatever its flags are.
    "kfuncs": f"""
        WITH sets AS (
            SELECT * FROM btf_ids
            WHERE (set_flags & 1 > 0 OR program_types IS NOT NULL)
                AND registered_as IS DISTINCT FROM 'fmod_ret' AND kind = 'func'
        ), listed AS (
            SELECT DISTINCT kernel, program_types, unnest(string_split(program_types, ' ')) AS number
            FROM sets
        ), named AS (
            SELECT l.kernel, l.program_types,
                   string_agg(coalesce(e.name, l.number), ' ' ORDER BY l.number::BIGINT) AS names
            FROM listed l LEFT JOIN bpf_enums e
                ON e.kernel = l.kernel AND e.enum = 'bpf_prog_type' AND e.value = l.number::BIGINT
            GROUP BY ALL
        )
        SELECT s.kernel, s.image, s.name, s.set, {_flags()} AS flags, n.names AS program_types
        FROM sets s LEFT JOIN named n ON n.kernel = s.kernel AND n.program_types = s.program_types""",
    # kernel/bpf/bpf_struct_ops.c wraps each such struct into one that has it as its member `data`.
    "struct_ops": """
        SELECT kernel, image, substr(struct, 16) AS name FROM fields
        WHERE starts_with(struct, 'bpf_struct_ops_') AND field = 'data'
            AND type = 'struct ' || substr(struct, 16)""",
}
"""The SQL of each, over the views of tables; a name with a line below in front is for the others."""
