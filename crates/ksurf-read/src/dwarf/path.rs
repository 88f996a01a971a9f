//! Source paths as a person knows them: relative to the kernel's source root.

/// Turns the paths of one unit, as its compiler saw them, into paths relative to the source root.
pub struct SourceRoot {
    /// Prefixes to take off, the longest first; without a slash at the end.
    prefixes: Vec<String>,
}

/// Debian and Ubuntu build out of tree, in this folder of the source tree (debian/rules.gen of `linux`).
const DEBIAN_BUILD: &str = "debian/build/";

impl SourceRoot {
    /// From a unit's `DW_AT_comp_dir`, which is the build folder: the source tree itself, or a folder in it.
    pub fn of(comp_dir: &str) -> SourceRoot {
        let build = normalise(comp_dir);
        let mut prefixes = vec![build.clone()];
        if let Some(at) = build.find(DEBIAN_BUILD) {
            if at == 0 || build.as_bytes()[at - 1] == b'/' {
                // A unit may be built in a folder further in (`debian/build/build_x/tools/...`).
                let rest = &build[at + DEBIAN_BUILD.len()..];
                let folder = rest.split('/').next().unwrap_or_default();
                prefixes.push(build[..at + DEBIAN_BUILD.len() + folder.len()].to_owned());
                prefixes.push(build[..at].trim_end_matches('/').to_owned());
            }
        }
        prefixes.retain(|p| !p.is_empty());
        prefixes.sort_by_key(|p| std::cmp::Reverse(p.len()));
        prefixes.dedup();
        SourceRoot { prefixes }
    }

    /// `directory` and `name` as in the line table; either may be absolute, relative or empty.
    pub fn relative(&self, comp_dir: &str, directory: &str, name: &str) -> String {
        let joined = [comp_dir, directory, name].iter().fold(String::new(), |path, part| {
            if part.starts_with('/') || path.is_empty() {
                (*part).to_owned()
            } else if part.is_empty() {
                path
            } else {
                format!("{path}/{part}")
            }
        });
        let path = normalise(&joined);
        let stripped = self.prefixes.iter().find_map(|p| path.strip_prefix(p.as_str())?.strip_prefix('/'));
        // A relative folder may have been entered twice: `debian/build/x` is the unit's, and the file's too.
        match stripped.map(|rest| {
            (rest, self.prefixes.iter().find_map(|p| rest.strip_prefix(p.as_str())?.strip_prefix('/')))
        }) {
            Some((_, Some(inner))) => inner.to_owned(),
            Some((rest, None)) => rest.to_owned(),
            None => path,
        }
    }
}

/// Takes `.`, `..` and empty parts out of a path, as text.
fn normalise(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if absolute => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_debian_writes_a_path_ends_at_the_source_root() {
        for (comp_dir, directory, name, expected) in [
            // 6.12: relative folders, units named from the source root.
            ("debian/build/build_amd64_none_cloud-amd64", "", "init/main.c", "init/main.c"),
            (
                "debian/build/build_amd64_none_cloud-amd64",
                "debian/build/build_amd64_none_cloud-amd64/arch/x86/kvm/../../../virt/kvm",
                "coalesced_mmio.h",
                "virt/kvm/coalesced_mmio.h",
            ),
            (
                "debian/build/build_amd64_none_cloud-amd64",
                "./arch/x86/include/generated/asm",
                "syscalls_64.h",
                "arch/x86/include/generated/asm/syscalls_64.h",
            ),
            // 5.10: absolute folders, sources beside the build folder.
            (
                "/build/linux-a1/linux-5.10.251/debian/build/build_amd64_none_amd64",
                "/build/linux-a1/linux-5.10.251/kernel",
                "fork.c",
                "kernel/fork.c",
            ),
            (
                "/build/linux-a1/linux-5.10.251/debian/build/build_amd64_none_amd64",
                "./include/generated",
                "utsrelease.h",
                "include/generated/utsrelease.h",
            ),
            // In-tree builds, and files that belong to no kernel tree.
            ("/usr/src/linux", "include/linux", "fs.h", "include/linux/fs.h"),
            ("/usr/src/linux", "/usr/lib/gcc/include", "stdarg.h", "/usr/lib/gcc/include/stdarg.h"),
            ("", "", "a/../../b.c", "../b.c"),
        ] {
            assert_eq!(SourceRoot::of(comp_dir).relative(comp_dir, directory, name), expected);
        }
    }
}
