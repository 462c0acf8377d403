//! The codes of errors: what each means and what to do. The text is that of docs/errors.md.

use std::sync::LazyLock;

use maud::{Markup, html};

use crate::blocks::head;
use crate::frame::part;
use crate::prose::prose;

/// The page that people also read in the repository.
const TEXT: &str = include_str!("../../../../docs/errors.md");

/// Codes that belong together.
#[derive(Debug)]
struct Section {
    title: &'static str,
    codes: Vec<Code>,
}

/// A code, and what the page says of it.
#[derive(Debug)]
struct Code {
    code: &'static str,
    blocks: Vec<Block>,
}

#[derive(Debug, PartialEq, Eq)]
enum Block {
    Paragraph(String),
    List(Vec<String>),
}

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| read(TEXT));

/// Reads headings of two levels, paragraphs and lists of one level. The page has no other parts.
fn read(text: &'static str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut is_new_block = true;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title, codes: Vec::new() });
        } else if let Some(code) = line.strip_prefix("### ") {
            if let Some(section) = sections.last_mut() {
                section.codes.push(Code { code, blocks: Vec::new() });
            }
        } else if let Some(code) = sections.last_mut().and_then(|section| section.codes.last_mut()) {
            add(&mut code.blocks, line.trim(), is_new_block);
        }
        is_new_block = line.trim().is_empty() || line.starts_with('#');
    }
    sections
}

fn add(blocks: &mut Vec<Block>, line: &str, is_new: bool) {
    if line.is_empty() {
        return;
    }
    match (line.strip_prefix("- "), blocks.last_mut()) {
        (Some(item), Some(Block::List(items))) => items.push(item.to_owned()),
        (Some(item), _) => blocks.push(Block::List(vec![item.to_owned()])),
        (None, Some(Block::List(items))) if !is_new => continued(items.last_mut(), line),
        (None, Some(Block::Paragraph(text))) if !is_new => continued(Some(text), line),
        (None, _) => blocks.push(Block::Paragraph(line.to_owned())),
    }
}

fn continued(text: Option<&mut String>, line: &str) {
    if let Some(text) = text {
        text.push(' ');
        text.push_str(line);
    }
}

fn blocks(code: &Code) -> Markup {
    html! {
        @for block in &code.blocks {
            @match block {
                Block::Paragraph(text) => p.prose { (prose(text)) },
                Block::List(items) => ul.list.prose { @for item in items { li { span { (prose(item)) } } } },
            }
        }
    }
}

/// Whether there is such a code.
pub fn is_known(code: &str) -> bool {
    SECTIONS.iter().flat_map(|section| &section.codes).any(|known| known.code == code)
}

/// All codes, with the first sentence of each.
pub fn list(base: &str) -> Markup {
    let first = |code: &Code| match code.blocks.first() {
        Some(Block::Paragraph(text)) => {
            text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
        }
        _ => String::new(),
    };
    let lead = html! { "Each error has a stable code. Programs compare codes; people read here what to do." };
    html! {
        (head(&html! { "Errors" }, &lead, &html! {}))
        @for section in SECTIONS.iter() {
            section {
                div.section-head { h2 { (section.title) } }
                dl.facts.wide-facts {
                    @for code in &section.codes {
                        dt { a href={ (base) "/errors/" (part(code.code)) } { code { (code.code) } } }
                        dd { (prose(&first(code))) }
                    }
                }
            }
        }
    }
}

/// One code; `None` if there is none of that name.
pub fn show(base: &str, code: &str) -> Option<Markup> {
    let found = SECTIONS.iter().find_map(|section| {
        let found = section.codes.iter().find(|known| known.code == code)?;
        Some((section, found))
    });
    let (section, found) = found?;
    Some(html! {
        (head(&html! { code { (found.code) } }, &html! { (section.title) }, &html! {}))
        (blocks(found))
        p.actions { a.button href={ (base) "/errors" } { "All errors" } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_page_is_found() {
        let headings = TEXT.lines().filter_map(|line| line.strip_prefix("### "));
        let mut count = 0;
        for code in headings {
            let page = show("/x", code).unwrap().into_string();
            assert!(page.contains("<p class=\"prose\">") || page.contains("<ul"), "{code} says nothing");
            assert!(!page.contains('`'), "{code}: a code span is open");
            count += 1;
        }
        assert!(count > 200 && list("/x").into_string().matches("/x/errors/").count() == count);
        assert!(show("", "no-such-code").is_none() && !is_known(""));
    }

    #[test]
    fn lines_become_paragraphs_and_lists() {
        let sections =
            read("# T\n\nintro\n\n## A\n\n### x\n\none `a`\ntwo\n\nthree:\n- b\n  c\n- d\n\n### y\n\nlast\n");
        let blocks = &sections[0].codes[0].blocks;
        let expected = [
            Block::Paragraph("one `a` two".to_owned()),
            Block::Paragraph("three:".to_owned()),
            Block::List(vec!["b c".to_owned(), "d".to_owned()]),
        ];
        assert_eq!(blocks.as_slice(), expected);
        assert_eq!(sections[0].codes[1].blocks, [Block::Paragraph("last".to_owned())]);
    }
}
