//! C declarations as text, from any description of types.
//!
//! A declaration in C is written around its name: what is nearest to the name comes first in meaning, and lies
//! to the left of it (pointers) or to the right (arrays, functions). So the way from a declared thing to its
//! base type is followed once, then written from the far end towards the name, and back out again.

use std::borrow::Cow;
use std::fmt::Write;

use crate::error::{Error, Result};

/// A description of types, such as DWARF or BTF, whose types refer to each other by id.
pub trait TypeGraph {
    /// What the type `id` is made of.
    fn node(&self, id: u64) -> Result<TypeNode<'_>>;
}

/// A parameter's name, if it has one, and its type.
pub type Parameter<'a> = (Option<Cow<'a, [u8]>>, u64);

/// One step on the way from a declared thing to its base type. Names are bytes, as nothing makes them UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeNode<'a> {
    Void,
    /// A type that is written as it is called: `u32`, `long unsigned int`, `struct kvm`, `union (anon)`.
    Named {
        text: Cow<'a, [u8]>,
    },
    Pointer(u64),
    Const(u64),
    Volatile(u64),
    Restrict(u64),
    Atomic(u64),
    /// `count` is `None` where the declaration leaves it open.
    Array {
        element: u64,
        count: Option<u64>,
    },
    /// `ret` is `None` for `void`.
    Function {
        ret: Option<u64>,
        params: Vec<Parameter<'a>>,
        variadic: bool,
    },
}

/// Pointers, arrays, qualifiers and so on in one declarator: input that has more is a cycle.
const CHAIN_LIMIT: usize = 64;
/// Functions that take functions that take functions.
const DEPTH_LIMIT: usize = 16;
/// Types looked at for one declaration, so that a small input cannot ask for an endless text.
const NODE_LIMIT: usize = 20_000;
/// Bytes of one declaration: names have no limit of their own.
const TEXT_LIMIT: usize = 1 << 20;

/// Writes a declaration of `name`, or the type alone: `struct kvm_memslots * memslots[2]`, `int (*)(void)`.
/// `None` is `void`.
pub fn declare(
    graph: &impl TypeGraph,
    type_id: Option<u64>,
    name: Option<&str>,
    out: &mut String,
) -> Result<()> {
    Writer::new(graph, out).declaration(type_id, name.map(str::as_bytes), 0)
}

/// Writes the prototype of a function, with the names of its parameters: `int foo(struct bar *baz);`.
pub fn prototype(
    graph: &impl TypeGraph,
    function: &TypeNode<'_>,
    name: &str,
    out: &mut String,
) -> Result<()> {
    let TypeNode::Function { ret, params, variadic } = function else {
        return Err(Error::corrupt("function type", 0, format!("{name} is no function")));
    };
    let own = Step::Function { params: Cow::Borrowed(params), variadic: *variadic, own: true };
    Writer::new(graph, out).from(vec![own], *ret, Some(name.as_bytes()), 0)?;
    out.push(';');
    Ok(())
}

/// Writes a name; bytes that are not UTF-8 as `\xff`.
pub fn push_name(out: &mut String, name: &[u8]) {
    for chunk in name.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}"); // a String takes everything
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Qualifiers {
    atomic: bool,
    constant: bool,
    volatile: bool,
    restrict: bool,
}

impl Qualifiers {
    fn words(self) -> impl Iterator<Item = &'static str> {
        [
            (self.constant, "const"),
            (self.volatile, "volatile"),
            (self.restrict, "restrict"),
            (self.atomic, "_Atomic"),
        ]
        .into_iter()
        .filter_map(|(is_there, word)| is_there.then_some(word))
    }
}

/// A part of a declarator.
enum Step<'a> {
    Pointer(Qualifiers),
    Array(Option<u64>),
    /// `own` is the function that a prototype declares.
    Function {
        params: Cow<'a, [Parameter<'a>]>,
        variadic: bool,
        own: bool,
    },
}

impl Step<'_> {
    /// Arrays and functions are written to the right of the name, and bind more tightly than pointers.
    fn is_suffix(&self) -> bool {
        !matches!(self, Step::Pointer(_))
    }
}

struct Writer<'o, G> {
    graph: &'o G,
    out: &'o mut String,
    /// Types that may still be looked at.
    left: usize,
    /// How long `out` may become.
    end: usize,
}

impl<'o, G: TypeGraph> Writer<'o, G> {
    fn new(graph: &'o G, out: &'o mut String) -> Writer<'o, G> {
        let end = out.len().saturating_add(TEXT_LIMIT);
        Writer { graph, out, left: NODE_LIMIT, end }
    }

    fn node(&mut self, id: u64) -> Result<TypeNode<'o>> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Error::corrupt("type", id, "its declaration has no end"))?;
        self.graph.node(id)
    }

    fn declaration(&mut self, type_id: Option<u64>, name: Option<&[u8]>, depth: usize) -> Result<()> {
        self.from(Vec::new(), type_id, name, depth)
    }

    /// Writes the declaration of something that `chain` leads away from, towards the type `next`.
    fn from<'p>(
        &mut self,
        mut chain: Vec<Step<'p>>,
        mut next: Option<u64>,
        name: Option<&[u8]>,
        depth: usize,
    ) -> Result<()>
    where
        'o: 'p,
    {
        let mut qualifiers = Qualifiers::default();
        let mut steps = 0;
        let base = loop {
            let Some(id) = next else {
                break Cow::Borrowed(&b"void"[..]);
            };
            steps += 1;
            if steps > CHAIN_LIMIT || depth > DEPTH_LIMIT || self.out.len() > self.end {
                return Err(Error::corrupt("type", id, "it is nested without end"));
            }
            match self.node(id)? {
                TypeNode::Void => next = None,
                TypeNode::Named { text } => break text,
                TypeNode::Const(of) => (qualifiers.constant, next) = (true, Some(of)),
                TypeNode::Volatile(of) => (qualifiers.volatile, next) = (true, Some(of)),
                TypeNode::Restrict(of) => (qualifiers.restrict, next) = (true, Some(of)),
                TypeNode::Atomic(of) => (qualifiers.atomic, next) = (true, Some(of)),
                TypeNode::Pointer(to) => {
                    chain.push(Step::Pointer(std::mem::take(&mut qualifiers)));
                    next = Some(to);
                }
                // a qualified array is one of qualified elements
                TypeNode::Array { element, count } => {
                    chain.push(Step::Array(count));
                    next = Some(element);
                }
                TypeNode::Function { ret, params, variadic } => {
                    // a qualified function is one in GNU C: `const` said that it is pure
                    qualifiers = Qualifiers::default();
                    chain.push(Step::Function { params: params.into(), variadic, own: false });
                    next = ret;
                }
            }
        };
        self.base(qualifiers, &base);
        self.left_of_name(&chain, name.is_some());
        if let Some(name) = name {
            push_name(self.out, name);
        }
        self.right_of_name(&chain, depth)
    }

    fn base(&mut self, qualifiers: Qualifiers, text: &[u8]) {
        for word in qualifiers.words() {
            self.out.push_str(word);
            self.out.push(' ');
        }
        push_name(self.out, text);
    }

    /// The pointers, from the base type towards the name, and every blank between the base and the name.
    fn left_of_name(&mut self, chain: &[Step<'_>], named: bool) {
        let mut glued = false; // whether what comes next touches what was written last
        for (at, step) in chain.iter().enumerate().rev() {
            let Step::Pointer(qualifiers) = step else {
                continue;
            };
            let in_parentheses = chain.get(at + 1).is_some_and(Step::is_suffix);
            if !glued {
                self.out.push(' ');
            }
            if in_parentheses {
                self.out.push('(');
            }
            self.out.push('*');
            glued = true;
            for word in qualifiers.words() {
                self.out.push(' ');
                self.out.push_str(word);
                glued = false;
            }
            // `struct a * b[2]`, `struct a * (*b)(int)`, but `struct a *b(int);`
            let nearer = at.checked_sub(1).map(|nearer| &chain[nearer]);
            if !in_parentheses {
                glued &= match nearer {
                    Some(Step::Function { own, .. }) => *own,
                    Some(Step::Array(_)) => false,
                    _ => true,
                };
            }
        }
        let follows = named || chain.first().is_some_and(Step::is_suffix);
        if follows && !glued {
            self.out.push(' ');
        }
    }

    /// The arrays and functions, from the name outwards, and the parentheses that the pointers opened.
    fn right_of_name(&mut self, chain: &[Step<'_>], depth: usize) -> Result<()> {
        for (at, step) in chain.iter().enumerate() {
            match step {
                Step::Pointer(_) => {
                    if chain.get(at + 1).is_some_and(Step::is_suffix) {
                        self.out.push(')');
                    }
                }
                Step::Array(None) => self.out.push_str("[]"),
                Step::Array(Some(count)) => {
                    let _ = write!(self.out, "[{count}]");
                }
                Step::Function { params, variadic, own } => {
                    self.out.push('(');
                    for (index, (name, id)) in params.iter().enumerate() {
                        if index > 0 {
                            self.out.push_str(", ");
                        }
                        // only a prototype tells what its parameters are called
                        let name = name.as_deref().filter(|name| *own && !name.is_empty());
                        self.declaration(Some(*id), name, depth + 1)?;
                    }
                    self.out.push_str(match (params.is_empty(), variadic) {
                        (true, false) => "void",
                        (true, true) => "...",
                        (false, true) => ", ...",
                        (false, false) => "",
                    });
                    self.out.push(')');
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Types(Vec<TypeNode<'static>>);

    impl TypeGraph for Types {
        fn node(&self, id: u64) -> Result<TypeNode<'_>> {
            self.0.get(id as usize).cloned().ok_or_else(|| Error::corrupt("type", id, "missing"))
        }
    }

    impl Types {
        fn add(&mut self, node: TypeNode<'static>) -> u64 {
            self.0.push(node);
            self.0.len() as u64 - 1
        }

        fn named(&mut self, text: &'static str) -> u64 {
            self.add(TypeNode::Named { text: Cow::Borrowed(text.as_bytes()) })
        }

        fn pointer(&mut self, text: &'static str) -> u64 {
            let to = self.named(text);
            self.add(TypeNode::Pointer(to))
        }

        fn array(&mut self, element: u64, count: u64) -> u64 {
            self.add(TypeNode::Array { element, count: Some(count) })
        }

        fn function(&mut self, ret: Option<u64>, params: &[u64], variadic: bool) -> u64 {
            let params = params.iter().map(|&id| (None, id)).collect();
            self.add(TypeNode::Function { ret, params, variadic })
        }

        fn function_pointer(&mut self, ret: Option<u64>, params: &[u64]) -> u64 {
            let function = self.function(ret, params, false);
            self.add(TypeNode::Pointer(function))
        }

        fn declared(&self, id: u64, name: &str) -> String {
            let mut out = String::new();
            declare(self, Some(id), Some(name), &mut out).unwrap();
            out
        }

        fn bare(&self, id: u64) -> String {
            let mut out = String::new();
            declare(self, Some(id), None, &mut out).unwrap();
            out
        }

        fn prototype(&self, id: u64, name: &str, names: &[&'static str]) -> String {
            let mut node = self.node(id).unwrap();
            if let TypeNode::Function { params, .. } = &mut node {
                for (param, name) in params.iter_mut().zip(names) {
                    param.0 = Some(Cow::Borrowed(name.as_bytes()));
                }
            }
            let mut out = String::new();
            prototype(self, &node, name, &mut out).unwrap();
            out
        }
    }

    fn types() -> Types {
        Types(Vec::new())
    }

    #[test]
    fn plain_types_and_pointers() {
        let mut t = types();
        let ulong = t.named("long unsigned int");
        assert_eq!(t.declared(ulong, "tlbs_dirty"), "long unsigned int tlbs_dirty");
        let owner = t.pointer("struct module");
        assert_eq!(t.declared(owner, "owner"), "struct module *owner");
        assert_eq!(t.bare(owner), "struct module *");
        let data = t.pointer("struct kvm_stat_data");
        let data = t.add(TypeNode::Pointer(data));
        assert_eq!(t.declared(data, "debugfs_stat_data"), "struct kvm_stat_data **debugfs_stat_data");
        let void = t.add(TypeNode::Void);
        let void_pointer = t.add(TypeNode::Pointer(void));
        assert_eq!(t.declared(void_pointer, "p"), "void *p");
        let mut out = String::new();
        declare(&t, None, None, &mut out).unwrap();
        assert_eq!(out, "void");
    }

    #[test]
    fn arrays() {
        let mut t = types();
        let u32_type = t.named("u32");
        let row = t.array(u32_type, 2);
        let rows = t.array(row, 4);
        assert_eq!(t.declared(rows, "x"), "u32 x[4][2]");
        assert_eq!(t.bare(rows), "u32 [4][2]");
        let open = t.add(TypeNode::Array { element: u32_type, count: None });
        assert_eq!(t.declared(open, "tail"), "u32 tail[]");
        let slots = t.pointer("struct kvm_memslots");
        let slots = t.array(slots, 2);
        assert_eq!(t.declared(slots, "memslots"), "struct kvm_memslots * memslots[2]");
        let slots = t.add(TypeNode::Pointer(slots));
        assert_eq!(t.declared(slots, "p"), "struct kvm_memslots * (*p)[2]");
        let row_pointer = t.add(TypeNode::Pointer(row));
        assert_eq!(t.declared(row_pointer, "row"), "u32 (*row)[2]");
        assert_eq!(t.bare(row_pointer), "u32 (*)[2]");
    }

    #[test]
    fn qualifiers_stand_where_they_belong() {
        let mut t = types();
        let region = t.named("struct region");
        let constant = t.add(TypeNode::Const(region));
        let to_constant = t.add(TypeNode::Pointer(constant));
        assert_eq!(t.bare(to_constant), "const struct region *");
        let character = t.pointer("char");
        let name = t.add(TypeNode::Const(character));
        assert_eq!(t.declared(name, "name"), "char * const name");
        assert_eq!(t.bare(name), "char * const");
        let names = t.array(name, 3);
        assert_eq!(t.declared(names, "names"), "char * const names[3]");
        let to_name = t.add(TypeNode::Pointer(name));
        assert_eq!(t.declared(to_name, "p"), "char * const *p");
        let volatile = t.add(TypeNode::Volatile(region));
        let both = t.add(TypeNode::Const(volatile));
        assert_eq!(t.declared(both, "r"), "const volatile struct region r");
        let array = t.array(region, 2);
        let array = t.add(TypeNode::Const(array));
        assert_eq!(t.declared(array, "r"), "const struct region r[2]");
        let restrict = t.add(TypeNode::Restrict(to_constant));
        assert_eq!(t.declared(restrict, "r"), "const struct region * restrict r");
        let atomic = t.add(TypeNode::Atomic(region));
        assert_eq!(t.declared(atomic, "r"), "_Atomic struct region r");
        let void = t.add(TypeNode::Void);
        let void = t.add(TypeNode::Const(void));
        let void = t.add(TypeNode::Pointer(void));
        assert_eq!(t.declared(void, "p"), "const void *p");
    }

    #[test]
    fn function_pointers_tell_types_only() {
        let mut t = types();
        let (kvm, vcpu) = (t.pointer("struct kvm"), t.pointer("struct kvm_vcpu"));
        let (int, uint) = (t.named("int"), t.named("unsigned int"));
        let get = t.function_pointer(Some(int), &[vcpu, uint]);
        assert_eq!(t.declared(get, "get"), "int (*get)(struct kvm_vcpu *, unsigned int)");
        let create = t.function_pointer(Some(vcpu), &[kvm, uint]);
        assert_eq!(
            t.declared(create, "vcpu_create"),
            "struct kvm_vcpu * (*vcpu_create)(struct kvm *, unsigned int)"
        );
        let none = t.function_pointer(None, &[]);
        assert_eq!(t.declared(none, "stop"), "void (*stop)(void)");
        assert_eq!(t.bare(none), "void (*)(void)");
        let table = t.array(get, 4);
        assert_eq!(t.declared(table, "table"), "int (*table[4])(struct kvm_vcpu *, unsigned int)");
        let constant = t.add(TypeNode::Const(none));
        assert_eq!(t.declared(constant, "stop"), "void (* const stop)(void)");
        let to_pointer = t.add(TypeNode::Pointer(none));
        assert_eq!(t.declared(to_pointer, "stop"), "void (**stop)(void)");
        let returns = t.function_pointer(Some(none), &[int]);
        assert_eq!(t.declared(returns, "get_stop"), "void (*(*get_stop)(int))(void)");
        let takes = t.function_pointer(None, &[none]);
        assert_eq!(t.declared(takes, "on"), "void (*on)(void (*)(void))");
        let mut named = t.node(get).unwrap();
        if let TypeNode::Pointer(to) = &mut named {
            if let TypeNode::Function { params, .. } = &mut t.0[*to as usize] {
                params[0].0 = Some(Cow::Borrowed(b"vcpu"));
            }
        }
        assert_eq!(t.declared(get, "get"), "int (*get)(struct kvm_vcpu *, unsigned int)");
    }

    #[test]
    fn prototypes_name_their_parameters() {
        let mut t = types();
        let (int, vcpu) = (t.named("int"), t.pointer("struct kvm_vcpu"));
        let kick = t.function(None, &[vcpu], false);
        assert_eq!(
            t.prototype(kick, "kvm_vcpu_kick", &["vcpu"]),
            "void kvm_vcpu_kick(struct kvm_vcpu *vcpu);"
        );
        assert_eq!(t.prototype(kick, "kvm_vcpu_kick", &[""]), "void kvm_vcpu_kick(struct kvm_vcpu *);");
        let none = t.function(Some(int), &[], false);
        assert_eq!(t.prototype(none, "foo", &[]), "int foo(void);");
        let find = t.function(Some(vcpu), &[int], true);
        assert_eq!(t.prototype(find, "find", &["first"]), "struct kvm_vcpu *find(int first, ...);");
        let bare = t.function(Some(int), &[], true);
        assert_eq!(t.prototype(bare, "foo", &[]), "int foo(...);");
        let handler = t.function_pointer(None, &[int]);
        let signal = t.function(Some(handler), &[int, handler], false);
        assert_eq!(
            t.prototype(signal, "signal", &["number", "to"]),
            "void (*signal(int number, void (*to)(int)))(int);"
        );
        let pair = t.array(int, 2);
        let pair = t.add(TypeNode::Pointer(pair));
        let pairs = t.function(Some(pair), &[], false);
        assert_eq!(t.prototype(pairs, "pairs", &[]), "int (*pairs(void))[2];");
        let constant = t.add(TypeNode::Const(vcpu));
        let odd = t.function(Some(constant), &[], false);
        assert_eq!(t.prototype(odd, "odd", &[]), "struct kvm_vcpu * const odd(void);");
        assert!(prototype(&t, &TypeNode::Void, "x", &mut String::new()).is_err());
    }

    #[test]
    fn names_may_be_any_bytes() {
        let mut t = types();
        let odd = t.add(TypeNode::Named { text: Cow::Borrowed(b"struct \xc3\xa9\xff") });
        assert_eq!(t.declared(odd, "x"), "struct \u{e9}\\xff x");
    }

    #[test]
    fn input_without_end_is_an_error() {
        let mut t = types();
        t.add(TypeNode::Pointer(0));
        t.add(TypeNode::Const(1));
        t.add(TypeNode::Function { ret: None, params: vec![(None, 3)], variadic: false });
        t.add(TypeNode::Pointer(2));
        // each level doubles the text
        for id in 5..200 {
            t.add(TypeNode::Function { ret: None, params: vec![(None, id); 40], variadic: false });
        }
        for id in [0, 1, 3, 4, 199, 10_000] {
            let error = declare(&t, Some(id), None, &mut String::new()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{id}: {error}");
        }
    }
}
