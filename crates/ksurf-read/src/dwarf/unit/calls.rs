//! The calls in the code of a unit's functions: what was inlined there, what is called, and on which line.

use super::{too_deep, Attributes, Reader, Site, Target, DEPTH_LIMIT, NONE};
use crate::dwarf::cursor::Cursor;
use crate::dwarf::line::NO_FILE;
use crate::dwarf::{form, walk};
use crate::error::Result;
use gimli::constants as dw;
use std::rc::Rc;

/// An element of the DIE tree that the walk is inside of.
#[derive(Clone, Copy)]
struct Frame {
    /// The function that lines here are written in.
    enclosing: Target,
    depth: u16,
}

impl<'a> Reader<'_, 'a> {
    /// The children of a function that has code, down to the last inlined call.
    pub(super) fn body(
        &mut self,
        cursor: &mut Cursor<'a>,
        caller: Target,
        scopes: &[Option<&'a [u8]>],
    ) -> Result<()> {
        let abbreviations = Rc::clone(&self.abbreviations);
        let mut frames = vec![Frame { enclosing: caller, depth: 0 }];
        while let Some(&frame) = frames.last() {
            let at = cursor.at;
            if at >= self.header.end {
                return Ok(());
            }
            let Some(abbreviation) = walk::next(&abbreviations, cursor)? else {
                frames.pop();
                continue;
            };
            let has_children = abbreviation.has_children;
            let mut inner = frame;
            match gimli::DwTag(abbreviation.tag) {
                dw::DW_TAG_inlined_subroutine => {
                    let attributes = self.attributes(cursor, abbreviation)?;
                    let Some(origin) = attributes.origin else {
                        if has_children {
                            self.skip_children(cursor, attributes.sibling)?;
                        }
                        continue;
                    };
                    let callee = self.function(origin, 0)?;
                    self.inlined(caller, callee, frame, &attributes)?;
                    inner = Frame { enclosing: callee, depth: frame.depth.saturating_add(1) };
                }
                dw::DW_TAG_call_site | dw::DW_TAG_GNU_call_site => {
                    let attributes = self.attributes(cursor, abbreviation)?;
                    // Without an origin the call is an indirect one.
                    if let Some(origin) = attributes.call_origin.or(attributes.origin) {
                        // A call may be of something that is no function to DWARF: a label, a variable.
                        if let Ok(callee) = self.function(origin, 0) {
                            let return_pc = self.address(attributes.return_pc.or(attributes.low_pc));
                            self.called(caller, callee, frame, return_pc);
                        }
                    }
                    if has_children {
                        self.skip_children(cursor, attributes.sibling)?;
                    }
                    continue;
                }
                dw::DW_TAG_subprogram => {
                    if frames.len() >= DEPTH_LIMIT || scopes.len() >= 64 {
                        return Err(too_deep(at));
                    }
                    let attributes = self.attributes(cursor, abbreviation)?;
                    if attributes.declaration {
                        if has_children {
                            self.skip_children(cursor, attributes.sibling)?;
                        }
                    } else {
                        // A nested function's scope list grows, which bounds the recursion.
                        let mut nested = scopes.to_vec();
                        nested.push(None);
                        self.subprogram(cursor, at, has_children, attributes, &nested)?;
                    }
                    continue;
                }
                dw::DW_TAG_lexical_block
                | dw::DW_TAG_try_block
                | dw::DW_TAG_catch_block
                | dw::DW_TAG_with_stmt => {
                    for attribute in abbreviations.attributes(abbreviation) {
                        form::skip(cursor, attribute.form, self.header.encoding)?;
                    }
                }
                _ => {
                    self.skip(cursor, abbreviation)?;
                    continue;
                }
            }
            if has_children {
                if frames.len() >= DEPTH_LIMIT {
                    return Err(too_deep(at));
                }
                frames.push(inner);
            }
        }
        Ok(())
    }

    fn inlined(
        &mut self,
        caller: Target,
        callee: Target,
        frame: Frame,
        attributes: &Attributes<'a>,
    ) -> Result<()> {
        let mut address = self.address(attributes.low_pc).or_else(|| self.address(attributes.entry_pc));
        if address.is_none() {
            address = self.first_range(attributes.ranges)?.map(|code| code.address);
        }
        if let Target::Here(index) = callee {
            let function = &mut self.functions[index as usize];
            function.inline_address = match (function.inline_address, address) {
                (Some(known), Some(new)) => Some(known.min(new)),
                (known, new) => known.or(new),
            };
        }
        let file = attributes.call_file.map_or(NO_FILE, |number| self.lines.file(self.sections, number));
        let file = self.unless_declared_in(file, frame.enclosing);
        let line = attributes.call_line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        self.sites.push(Site { caller, depth: frame.depth, inline: true, callee, file, line });
        Ok(())
    }

    fn called(&mut self, caller: Target, callee: Target, frame: Frame, return_pc: Option<u64>) {
        if let Some(pc) = return_pc {
            self.direct.push((self.sites.len() as u32, pc, frame.enclosing));
        }
        self.sites.push(Site { caller, depth: frame.depth, inline: false, callee, file: NONE, line: 0 });
    }

    /// [`NONE`] if the enclosing function is declared in this file: the usual case, which need not be stored.
    fn unless_declared_in(&self, file: u32, enclosing: Target) -> u32 {
        match enclosing {
            Target::Here(index) if self.functions[index as usize].decl_file == file => NONE,
            _ => file,
        }
    }

    /// A direct call's line is that of the instruction before its return address.
    pub(super) fn resolve_lines(&mut self) -> Result<()> {
        if self.direct.is_empty() {
            return Ok(());
        }
        let rows = self.lines.rows(self.sections)?;
        for (site, return_pc, enclosing) in std::mem::take(&mut self.direct) {
            let Some((file, line)) = rows.find(return_pc.wrapping_sub(1)) else { continue };
            let file = self.lines.file(self.sections, file);
            let file = self.unless_declared_in(file, enclosing);
            let site = &mut self.sites[site as usize];
            (site.file, site.line) = (file, line);
        }
        Ok(())
    }
}
