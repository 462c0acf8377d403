//! Circles: dependencies between the files of a crate point one way. A file imports from another with `use`, or by a
//! path that begins with `crate::` or `super::`. A module and the modules below it may know each other.
//!
//! A circle that has to be stands in ARCHITECTURE.md, in the list under [`HEADING`], with the reason.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, VecDeque};
use std::fs;

use anyhow::Context;

use super::codes::{is_of_tests, without_tests};
use super::sources::Source;
use crate::repository;

const MAP: &str = "ARCHITECTURE.md";
/// The list of explained circles. Each point names the paths of the circle's files in backticks.
const HEADING: &str = "## Circles that stay";

/// A module's path within its crate: `[]` is the crate's root, `["csv", "reader"]` is `csv::reader`.
type Module = Vec<String>;

/// Sets of files that reach each other, each with the shortest way around, in the order of the imports.
type Circles<'a> = BTreeMap<BTreeSet<&'a str>, Vec<&'a str>>;

/// The sources of one crate, by module.
struct Crate<'a> {
    files: BTreeMap<Module, &'a str>,
    /// What a file imports, and what it hands on with `pub use`.
    imports: BTreeMap<Module, Imports>,
}

#[derive(Default)]
struct Imports {
    /// The paths that a file uses, from the crate's root.
    used: BTreeSet<Vec<String>>,
    /// The names that others find in this module, with the paths where the names are defined.
    handed_on: BTreeMap<String, Vec<String>>,
}

pub(super) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let map = fs::read_to_string(repository::root().join(MAP))
        .with_context(|| format!("`{MAP}` cannot be read"))?;
    let explained = explained(&map);
    let mut circles = Circles::new();
    for sources in by_crate(sources).values() {
        circles.extend(Crate::of(sources).circles());
    }
    Ok(compare(&circles, &explained))
}

fn compare(circles: &Circles<'_>, explained: &BTreeSet<BTreeSet<&str>>) -> Vec<String> {
    let named = |files: &BTreeSet<&str>| files.iter().copied().collect::<Vec<_>>().join(", ");
    let new = circles.iter().filter(|(files, _)| !explained.contains(*files)).map(|(files, shortest)| {
        let others = match files.len() - shortest.len() {
            0 => String::new(),
            _ => format!(" (all that hang together: {})", named(files)),
        };
        let circle = [shortest.as_slice(), &shortest[..1]].concat().join(" → ");
        format!("{circle}: a circle of imports{others}: cut one, or explain it under `{HEADING}`")
    });
    let gone = explained.iter().filter(|files| !circles.contains_key(*files));
    new.chain(gone.map(|files| format!("{MAP}: there is no circle of {}", named(files)))).collect()
}

/// The circles that the map explains.
fn explained(map: &str) -> BTreeSet<BTreeSet<&str>> {
    let section = map.lines().skip_while(|line| *line != HEADING).skip(1);
    let points = section.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("- "));
    points
        .map(|point| point.split('`').skip(1).step_by(2).filter(|path| path.ends_with(".rs")).collect())
        .collect()
}

/// The files of each crate's `src`, without those of tests, with their paths below it.
fn by_crate(sources: &[Source]) -> BTreeMap<&str, Vec<(&str, &Source)>> {
    let mut crates = BTreeMap::<&str, Vec<(&str, &Source)>>::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs") && !is_of_tests(&source.path)) {
        if let Some((folder, below)) =
            source.path.split_once("/src/").filter(|(_, below)| !below.starts_with("bin/"))
        {
            crates.entry(folder).or_default().push((below, source));
        }
    }
    crates
}

impl<'a> Crate<'a> {
    fn of(sources: &[(&str, &'a Source)]) -> Self {
        let files: BTreeMap<_, _> =
            sources.iter().map(|(below, source)| (module(below), source.path.as_str())).collect();
        let imports = sources.iter().map(|(below, source)| {
            let module = module(below);
            let imports = Imports::of(&code(without_tests(&source.text)), &module);
            (module, imports)
        });
        Self { imports: imports.collect(), files }
    }

    /// Each set of files that reach each other.
    fn circles(&self) -> Circles<'a> {
        let arrows: Arrows<'_> = self.files.keys().map(|module| (module, self.arrows(module))).collect();
        let ways: BTreeMap<_, _> = arrows.keys().map(|&from| (from, ways(&arrows, from))).collect();
        let mut circles = Circles::new();
        for (from, reached) in &ways {
            let Some(around) = reached.get(from) else { continue };
            let together = reached.keys().filter(|to| ways[**to].contains_key(from));
            let shortest = circles.entry(together.map(|to| self.files[*to]).collect()).or_default();
            if shortest.is_empty() || around.len() < shortest.len() {
                *shortest = around.iter().map(|module| self.files[*module]).collect();
            }
        }
        circles
    }

    /// The modules that a module imports from, but those above and below it.
    fn arrows(&self, from: &Module) -> BTreeSet<&Module> {
        let used = self.imports[from].used.iter();
        let targets = used.filter_map(|path| self.home(path, 0));
        targets.filter(|to| !to.starts_with(from) && !from.starts_with(to)).collect()
    }

    /// The module where a path's name is defined; names that are handed on are followed.
    fn home(&self, path: &[String], followed: usize) -> Option<&Module> {
        let (module, _) =
            (0..=path.len()).rev().find_map(|length| self.files.get_key_value(&path[..length]))?;
        let handed_on = path.get(module.len()).and_then(|name| self.imports[module].handed_on.get(name));
        match handed_on {
            Some(path) if followed < 5 => self.home(path, followed + 1),
            _ => Some(module),
        }
    }
}

/// What each module imports from.
type Arrows<'m> = BTreeMap<&'m Module, BTreeSet<&'m Module>>;

/// Each module that can be reached from one, with the modules of the shortest way, from the first on.
fn ways<'m>(arrows: &Arrows<'m>, from: &'m Module) -> BTreeMap<&'m Module, Vec<&'m Module>> {
    let mut ways = BTreeMap::new();
    let mut open = VecDeque::from([vec![from]]);
    while let Some(way) = open.pop_front() {
        for &next in way.last().into_iter().flat_map(|last| &arrows[*last]) {
            if let Entry::Vacant(vacant) = ways.entry(next) {
                vacant.insert(way.clone());
                open.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    ways
}

/// `csv/mod.rs` and `csv.rs` are `csv`; `lib.rs` and `main.rs` are the root.
fn module(below: &str) -> Module {
    let path = below.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

impl Imports {
    fn of(code: &str, module: &Module) -> Self {
        let mut imports = Self::default();
        let tokens = tokens(code);
        let mut at = 0;
        while at < tokens.len() {
            let is_use = tokens[at] == "use" && (at == 0 || !matches!(tokens[at - 1], "::" | "."));
            if is_use {
                let is_handed_on = at > 0 && matches!(tokens[at - 1], "pub" | ")");
                let end =
                    tokens[at..].iter().position(|token| *token == ";").map_or(tokens.len(), |end| at + end);
                let mut paths = Vec::new();
                tree(&mut tokens[at + 1..end].iter().copied().peekable(), &mut Vec::new(), &mut paths);
                for (path, name) in paths {
                    let Some(path) = from_the_root(&path, module) else { continue };
                    if is_handed_on {
                        imports.handed_on.insert(name, path.clone());
                    }
                    imports.used.insert(path);
                }
                at = end;
            } else if matches!(tokens[at], "crate" | "super") && (at == 0 || tokens[at - 1] != "::") {
                let words = tokens[at..].chunks(2).take_while(|pair| is_word(pair[0]));
                let mut path = Vec::new();
                for pair in words {
                    path.push(pair[0].to_owned());
                    if pair.get(1) != Some(&"::") {
                        break;
                    }
                }
                at += path.len() * 2 - 1;
                imports.used.extend(from_the_root(&path, module));
                continue;
            }
            at += 1;
        }
        imports
    }
}

/// A path as it is written, from the crate's root. A path that begins with another word is one of another crate, or
/// of a module below: of neither does an arrow come.
fn from_the_root(path: &[String], module: &Module) -> Option<Vec<String>> {
    let above = path.iter().take_while(|word| *word == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => {
            let above = module.len().checked_sub(above)?;
            let rest = path.iter().skip_while(|word| *word == "super");
            Some(module[..above].iter().chain(rest).cloned().collect())
        }
        "self" => Some(module.iter().chain(&path[1..]).cloned().collect()),
        _ => Some(module.iter().chain(path).cloned().collect()),
    }
}

/// The paths of a tree as in `use a::{b, c::{d, e as f}}`, each with the name that it has afterwards.
fn tree<'t>(
    tokens: &mut std::iter::Peekable<impl Iterator<Item = &'t str>>,
    before: &mut Vec<String>,
    paths: &mut Vec<(Vec<String>, String)>,
) {
    let begun = before.len();
    let mut named = None;
    while let Some(token) = tokens.next() {
        match token {
            "::" => {}
            "as" => named = tokens.next(),
            "{" => {
                while tokens.peek().is_some_and(|next| *next != "}") {
                    tree(tokens, before, paths);
                }
                tokens.next();
                if tokens.peek() == Some(&",") {
                    tokens.next();
                }
                before.truncate(begun);
                return;
            }
            "," => break,
            word => before.push(word.to_owned()),
        }
        if tokens.peek() == Some(&"}") {
            break;
        }
    }
    let mut path = before.clone();
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    if let Some(last) = path.last().cloned() {
        let name = named.map_or(last, str::to_owned);
        paths.push((path, name));
    }
    before.truncate(begun);
}

/// Words, `::`, and all other characters one by one.
fn tokens(code: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(next) = rest.chars().next() {
        let length = match next {
            _ if rest.starts_with("::") => 2,
            next if is_of_a_word(next) => rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len()),
            next => next.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.starts_with(is_of_a_word)
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A source without the text of its comments. Doc comments may name what the code must not know.
fn code(text: &str) -> String {
    let of = |line: &str| match line.trim_start().starts_with("//") {
        true => String::new(),
        false => line.split(" // ").next().unwrap_or(line).to_owned(),
    };
    text.lines().map(of).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn circles_of(sources: &[Source]) -> Vec<String> {
        let crates = by_crate(sources);
        let circles = crates.values().flat_map(|sources| Crate::of(sources).circles());
        compare(&circles.collect(), &BTreeSet::new())
    }

    #[test]
    fn finds_files_that_import_each_other() {
        let sources = [
            source("x/a/src/lib.rs", "pub mod a; mod b; pub use b::Handed; pub use a::A;"),
            source("x/a/src/a.rs", "use std::fmt; use crate::{Handed, c::D};\npub struct A;"),
            source("x/a/src/b.rs", "// crate::nobody\nuse super::c::{self, d::{e, F as G}};"),
            source("x/a/src/c.rs", "mod d; fn f() -> crate::a::A { todo() }"),
            // A module and those below it may know each other.
            source("x/a/src/c/d.rs", "use super::x; use crate::c::y;"),
            source("x/a/src/one.rs", "use crate::two::Two;"),
            source("x/a/src/two.rs", "pub struct Two;\n#[cfg(test)]\nmod tests { use crate::one::One; }"),
            source("x/a/src/tests.rs", "use crate::one::One;"),
            // Another crate has the same names.
            source("x/b/src/lib.rs", ""),
            source("x/b/src/two.rs", "use crate::one::One;"),
            source("x/b/src/one.rs", "fn f() { super::two::f() }"),
        ];
        let advice = format!("cut one, or explain it under `{HEADING}`");
        let expected = [
            format!(
                "x/a/src/a.rs → x/a/src/c.rs → x/a/src/a.rs: a circle of imports (all that hang together: x/a/src/a.rs, \
                 x/a/src/b.rs, x/a/src/c.rs): {advice}"
            ),
            format!("x/b/src/one.rs → x/b/src/two.rs → x/b/src/one.rs: a circle of imports: {advice}"),
        ];
        assert_eq!(circles_of(&sources), expected);
    }

    #[test]
    fn a_circle_is_explained_or_mended() {
        let map = format!(
            "text `no.rs`\n{HEADING}\n\n- `a.rs`, `b.rs`: since the macro names `A` there.\n- `c.rs`, `d.rs`: …\n\n## More\n- `e.rs`\n"
        );
        let circles = Circles::from([
            (BTreeSet::from(["a.rs", "b.rs"]), vec!["a.rs", "b.rs"]),
            (BTreeSet::from(["x.rs", "y.rs"]), vec!["x.rs", "y.rs"]),
        ]);
        let expected = [
            format!("x.rs → y.rs → x.rs: a circle of imports: cut one, or explain it under `{HEADING}`"),
            "ARCHITECTURE.md: there is no circle of c.rs, d.rs".to_owned(),
        ];
        assert_eq!(compare(&circles, &explained(&map)), expected);
    }
}
