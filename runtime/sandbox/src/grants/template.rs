//! Grants with holes for parameters. First a line is read, with the places of its holes. Then a value fills a
//! hole of its kind, or is refused. No value can change the meaning of the grant.
//!
//! | hole | takes |
//! |---|---|
//! | the whole URL | a URL, of which exactly this path is granted |
//! | the whole host | a name or an address of version 4, no wildcard |
//! | within a host | letters, digits and `-`: never a dot, and so one label |
//! | the whole port | a port |
//! | within a path | anything that is one segment, or a part of it |
//! | the whole folder | a path, also of the folder of a step's output |
//! | within a folder's path | one plain name, or a part of it |

use std::path::PathBuf;

use http::Method;
use stepbox_batch::template::{Hole, Template, TemplateError, TemplatePiece, Values, judge_name};
use stepbox_net::HostPattern;
use url::{Host, Url};

use super::GrantError;
use super::folder::Access;
use super::http::{HttpGrant, parse_method};
use super::path::{PathPattern, reads_one_way};

/// Stands for a hole while a line is parsed. No text has this character: U+F8FF is for private use, and is
/// refused in literals.
const MARK: char = '\u{f8ff}';

/// A line of a job's `grants.http`.
#[derive(Debug, Clone)]
pub struct HttpTemplate {
    line: String,
    form: HttpForm,
}

#[derive(Debug, Clone)]
enum HttpForm {
    /// A line without holes.
    Fixed(HttpGrant),
    /// A method, and one hole for the whole URL.
    WholeUrl {
        method: Option<Method>,
        url: Hole,
    },
    Parts(Box<Parts>),
}

/// A line with holes in its parts. Each text has one mark for each of its holes.
#[derive(Debug, Clone)]
struct Parts {
    method: Option<Method>,
    scheme: String,
    host: Marked,
    is_below: bool,
    port: Marked,
    path: Marked,
    is_prefix: bool,
}

/// A text with marks, and the holes that they stand for.
#[derive(Debug, Clone)]
struct Marked {
    text: String,
    holes: Vec<Hole>,
}

impl Marked {
    fn of(template: &Template) -> Result<Self, &'static str> {
        let (mut text, mut holes) = (String::new(), Vec::new());
        for piece in template.pieces() {
            match piece {
                TemplatePiece::Literal(literal) if literal.contains(MARK) => {
                    return Err("it has the character U+F8FF, which stands for nothing");
                }
                TemplatePiece::Literal(literal) => text.push_str(literal),
                TemplatePiece::Hole(hole) => {
                    text.push(MARK);
                    holes.push(hole.clone());
                }
            }
        }
        Ok(Self { text, holes })
    }

    /// Removes and returns the beginning of the text, with its holes.
    fn split_off(&mut self, bytes: usize) -> Self {
        let rest = self.text.split_off(bytes);
        let text = std::mem::replace(&mut self.text, rest);
        let holes = self.holes.drain(..text.matches(MARK).count()).collect();
        Self { text, holes }
    }

    fn is_one_hole(&self) -> bool {
        self.text.chars().eq([MARK])
    }

    /// Puts values into the holes. `judge` checks each value.
    fn fill(
        &self,
        values: Values<'_>,
        judge: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Result<String, TemplateError> {
        let mut texts = self.text.split(MARK);
        let mut filled = texts.next().unwrap_or_default().to_owned();
        for (hole, literal) in self.holes.iter().zip(texts) {
            filled.push_str(&hole.text(values, &judge)?);
            filled.push_str(literal);
        }
        Ok(filled)
    }
}

impl HttpTemplate {
    /// Reads a line in which parameters may be named.
    ///
    /// A line that would grant nothing, whichever values it gets, is refused.
    pub fn parse(line: &str) -> Result<Self, GrantError> {
        let bad = |problem: String| GrantError::BadHttp { line: line.to_owned(), problem };
        let template = Template::parse(line).map_err(GrantError::Template)?;
        let mut marked = Marked::of(&template).map_err(|problem| bad(problem.to_owned()))?;
        if marked.holes.iter().any(|hole| hole.of_step().is_some()) {
            return Err(bad("what a step has written is no part of a URL".to_owned()));
        }
        let form = match marked.holes.is_empty() {
            true => HttpForm::Fixed(HttpGrant::parse(line)?),
            false => {
                marked.text = marked.text.trim().to_owned();
                let words: Vec<&str> = marked.text.split_whitespace().collect();
                let [method, target] = words[..] else {
                    return Err(bad("it is not a method and a URL".to_owned()));
                };
                if method.contains(MARK) {
                    return Err(bad("a method is written out; no parameter may name it".to_owned()));
                }
                let method = parse_method(method).map_err(bad)?;
                let target = Marked { text: target.to_owned(), holes: marked.holes };
                if target.is_one_hole() {
                    let [url] = <[Hole; 1]>::try_from(target.holes).expect("one mark is one hole");
                    HttpForm::WholeUrl { method, url }
                } else {
                    HttpForm::Parts(Box::new(Parts::parse(method, target).map_err(bad)?))
                }
            }
        };
        Ok(Self { line: line.to_owned(), form })
    }

    /// Fills the holes with a run's values and returns the grant.
    pub fn fill(&self, values: Values<'_>) -> Result<HttpGrant, GrantError> {
        match &self.form {
            HttpForm::Fixed(grant) => Ok(grant.clone()),
            HttpForm::WholeUrl { method, url } => {
                let text = url.text(values, judge_url).map_err(GrantError::Template)?;
                let url = Url::parse(&text).map_err(|error| self.bad(&error.to_string()))?;
                let Some(host) = url.host() else { return Err(self.bad("it has no host")) };
                let port = url.port_or_known_default().unwrap_or_default();
                let path = PathPattern::Is(url.path().to_owned());
                let host = HostPattern::is(host);
                Ok(HttpGrant::new(method.clone(), url.scheme(), host, port, path))
            }
            HttpForm::Parts(parts) => parts.fill(values, |problem| self.bad(problem)),
        }
    }

    fn bad(&self, problem: &str) -> GrantError {
        GrantError::BadHttp { line: self.line.clone(), problem: problem.to_owned() }
    }
}

impl Parts {
    fn parse(method: Option<Method>, mut rest: Marked) -> Result<Self, String> {
        let scheme = match rest.text.split_once("://") {
            Some((scheme @ ("http" | "https"), _)) => scheme.to_owned(),
            Some((scheme, _)) if !scheme.contains(MARK) => {
                return Err(format!("the scheme is `{scheme}`, not http or https"));
            }
            _ => {
                return Err("it does not begin with `http://` or `https://`, and is not one parameter alone"
                    .to_owned());
            }
        };
        rest.split_off(scheme.len() + "://".len());
        if rest.text.contains(['\\', '#']) {
            return Err("a `\\` or a `#` never reaches a host".to_owned());
        }
        let end = rest.text.find(['/', '?']).unwrap_or(rest.text.len());
        let mut host = rest.split_off(end);
        if host.text.contains(['@', '[']) {
            return Err("beside a parameter there is neither a user nor an address of version 6".to_owned());
        }
        let is_below = host.text.starts_with("*.");
        if is_below {
            host.split_off("*.".len());
        }
        let mut port = host.clone();
        let colon = host.text.find(':').unwrap_or(host.text.len());
        let host = port.split_off(colon);
        check_host(&host, is_below)?;
        if !port.text.is_empty() {
            port.split_off(":".len());
            if !port.is_one_hole() && judge_port(&port.text).is_err() {
                return Err("what follows the host's `:` is no port, nor one parameter".to_owned());
            }
        }
        if let Some(query) = rest.text.find('?') {
            if rest.text[query..].contains(MARK) {
                return Err("a query is not compared, so no parameter has an effect in it".to_owned());
            }
            rest.text.truncate(query);
        }
        let is_prefix = rest.text.ends_with('*');
        if is_prefix {
            rest.text.pop();
        }
        let path = rest;
        check_path(&path.text)?;
        Ok(Self { method, scheme, host, is_below, port, path, is_prefix })
    }

    fn fill(&self, values: Values<'_>, bad: impl Fn(&str) -> GrantError) -> Result<HttpGrant, GrantError> {
        let judge_host = if self.host.is_one_hole() { judge_host } else { judge_label };
        let host = self.host.fill(values, judge_host).map_err(GrantError::Template)?;
        let is_label =
            |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
        if !host.strip_suffix('.').unwrap_or(&host).split('.').all(is_label) {
            return Err(bad(&format!("`{host}` is no host")));
        }
        let host = match Host::parse(&host) {
            Ok(Host::Domain(name)) if self.is_below => HostPattern::below(&name),
            Ok(Host::Domain(name)) => HostPattern::is(Host::Domain(&name)),
            Ok(Host::Ipv4(address)) if !self.is_below => HostPattern::is(Host::Ipv4(address)),
            Ok(_) => return Err(bad("`*.` cannot stand before an address")),
            Err(error) => return Err(bad(&format!("`{host}` is no host: {error}"))),
        };
        let port = match self.port.fill(values, judge_port).map_err(GrantError::Template)?.as_str() {
            "" if self.scheme == "http" => 80,
            "" => 443,
            port => port.parse().map_err(|_| bad("it has no port"))?,
        };
        let path = self.path.fill(values, judge_segment).map_err(GrantError::Template)?;
        let path = match (self.path.holes.is_empty(), path.as_str(), self.is_prefix) {
            (true, "" | "/", false) => PathPattern::Any,
            _ => {
                // The URL parser would encode other characters itself, but would remove spaces at the end.
                let url = format!("http://host{}", path.replace(' ', "%20"));
                let url = Url::parse(&url).map_err(|error| bad(&error.to_string()))?;
                let is_as_long = url.path().matches('/').count() == path.matches('/').count().max(1);
                let filled = PathPattern::filled(url.path(), self.is_prefix).filter(|_| is_as_long);
                filled.ok_or_else(|| bad("the value makes it another path"))?
            }
        };
        Ok(HttpGrant::new(self.method.clone(), &self.scheme, host, port, path))
    }
}

/// Checks whether a host with marks can be valid for some values.
fn check_host(host: &Marked, is_below: bool) -> Result<(), String> {
    if host.text.contains('*') {
        return Err("`*` may only stand for the first part of a name: `*.example.com`".to_owned());
    }
    let name = host.text.strip_suffix('.').unwrap_or(&host.text);
    if is_below && !name.contains('.') {
        return Err("`*.` and one part more would grant a whole top-level domain".to_owned());
    }
    let as_if_filled = name.replace(MARK, "a");
    match Host::parse(&as_if_filled) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the URL is wrong: {error}")),
    }
}

/// Checks whether a path with marks can be valid for some values.
fn check_path(path: &str) -> Result<(), String> {
    if path.contains('*') {
        return Err("`*` may only stand at the end of a path; write `%2A` for the character".to_owned());
    }
    match reads_one_way(&path.replace(MARK, "a")) {
        true => Ok(()),
        false => Err("beside a parameter, servers read this path in different ways".to_owned()),
    }
}

fn judge_url(value: &str) -> Result<(), &'static str> {
    let Ok(url) = Url::parse(value) else { return Err("is no URL") };
    if value.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        Err("has a character that no URL has")
    } else if !matches!(url.scheme(), "http" | "https") {
        Err("is no URL of http or https")
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("has credentials, which do not belong in a grant")
    } else if url.fragment().is_some() {
        Err("has a fragment (`#…`), which never reaches a host")
    } else if url.host_str().is_none_or(|host| host.contains('*')) {
        Err("has a `*` in its host, and grants one URL alone")
    } else if url.port() == Some(0) {
        Err("has the port 0, which is not a port")
    } else {
        Ok(())
    }
}

fn judge_label(value: &str) -> Result<(), &'static str> {
    match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        _ if value.is_empty() => Err("is empty, and stands in the name of a host"),
        true => Ok(()),
        false => Err("has other characters than letters, digits and `-`, and stands in the name of a host"),
    }
}

fn judge_host(value: &str) -> Result<(), &'static str> {
    if value.is_empty() || value.len() > 253 {
        return Err("is not the name of a host");
    }
    let is_named = value.split('.').all(|label| judge_label(label).is_ok());
    if is_named { Ok(()) } else { Err("is not the name of a host alone, without scheme, port and `*`") }
}

fn judge_port(value: &str) -> Result<(), &'static str> {
    let is_port =
        value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port { Ok(()) } else { Err("is no port") }
}

fn judge_segment(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        Err("is empty, and stands in the path of a URL")
    } else if value.contains(['/', '?', '#', '%', '\\', '*']) {
        Err("has one of `/ ? # % \\ *`, and stands in the path of a URL")
    } else if value.chars().any(char::is_control) {
        Err("has a character that does not print")
    } else if !reads_one_way(value) {
        Err("is all dots, which leads elsewhere")
    } else {
        Ok(())
    }
}

/// A line of a job's `grants.files`.
#[derive(Debug, Clone)]
pub struct FolderTemplate {
    line: String,
    access: Access,
    path: Marked,
}

impl FolderTemplate {
    /// Reads a line in which parameters may be named.
    pub fn parse(line: &str) -> Result<Self, GrantError> {
        let bad =
            |problem: &str| GrantError::BadFolder { line: line.to_owned(), problem: problem.to_owned() };
        let template = Template::parse(line).map_err(GrantError::Template)?;
        let mut path = Marked::of(&template).map_err(bad)?;
        path.text = path.text.trim().to_owned();
        let word = path.text.find(char::is_whitespace).ok_or_else(|| bad("it is not a word and a path"))?;
        let word = path.split_off(word);
        let access = match word.text.as_str() {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return Err(bad("it begins with neither `read` nor `write`")),
        };
        path.text = path.text.trim_start().to_owned();
        if path.text.chars().any(char::is_control) {
            return Err(bad("the path has a character that does not print"));
        }
        match path.holes.iter().find_map(Hole::of_step) {
            Some("folder") if path.is_one_hole() => {}
            Some("folder") => return Err(bad("the folder of a step's output is a whole path")),
            Some(_) => return Err(bad("a step's output is a file; `${steps.NAME.folder}` is its folder")),
            None => {}
        }
        Ok(Self { line: line.to_owned(), access, path })
    }

    /// Fills the holes with a run's values. Returns the access and the folder's path. Opens nothing.
    pub fn fill(&self, values: Values<'_>) -> Result<(Access, PathBuf), GrantError> {
        let judge = if self.path.is_one_hole() { judge_folder } else { judge_name };
        let path = self.path.fill(values, judge).map_err(GrantError::Template)?;
        // Two values next to each other could make `..` together.
        let is_climbing = |name: &str| judge_name(name).is_err() && !name.is_empty();
        let written = self.path.text.split('/').zip(path.split('/'));
        if written.into_iter().any(|(marked, filled)| marked.contains(MARK) && is_climbing(filled))
            && !self.path.is_one_hole()
        {
            let problem = "the values make it another folder".to_owned();
            return Err(GrantError::BadFolder { line: self.line.clone(), problem });
        }
        Ok((self.access, PathBuf::from(path)))
    }
}

fn judge_folder(value: &str) -> Result<(), &'static str> {
    match value {
        "" => Err("is empty, and stands for a folder"),
        _ if value.chars().any(char::is_control) => Err("has a character that does not print"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
