//! Lists: pages of JSON with a cursor, or all rows as CSV or JSON Lines in a stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stepbox::batch::ports::Listing;
use stepbox_api::list::{DamagedRow, Row};
use url::form_urlencoded::Serializer;
use utoipa::ToSchema;

use super::answer::{Answer, negotiated};
use super::asking::Asking;
use super::cursor::Binding;
use super::describing::Describing;
use super::download::disposition;
use super::failure::Failure;
use super::input::{Input, pairs, parsed};

/// How many rows a page has if nobody says otherwise.
const LIMIT: u32 = 50;
/// How many rows a page has at most.
const LIMIT_MAX: u32 = 1000;
/// How many rows are in memory at a time while all rows are sent.
const STREAMED: u32 = 500;

/// The forms of a list.
const FORMS: [&str; 3] = ["application/json", "text/csv", "application/jsonl"];

/// Which rows of a list are asked for, and in which form.
pub(crate) struct Listed<Q> {
    /// The filters.
    pub(crate) filter: Q,
    pub(crate) page: Asked,
}

/// Which page of a list is asked for, and in which form.
pub(crate) struct Asked {
    after: Option<String>,
    limit: u32,
    binding: Binding,
    filters: Vec<(String, String)>,
    form: &'static str,
}

/// A list without filters.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unfiltered {}

impl<Q: DeserializeOwned + ToSchema + Send + 'static> Input for Listed<Q> {
    const TAKES_QUERY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let (own, filters): (Vec<_>, Vec<_>) = pairs(asking.query())
            .into_iter()
            .partition(|(name, _)| ["after", "limit"].contains(&name.as_str()));
        let filter = parsed(&query_of(&filters))?;
        let own: Own = parsed(&query_of(&own))?;
        let binding = Binding::new(asking.uri().path(), &filters);
        let after = own.after.map(|cursor| binding.key(&cursor)).transpose()?;
        let limit = own.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("the query is wrong: `limit` is from 1 to {LIMIT_MAX}");
            return Err(Failure::bad_request("query-invalid", detail));
        }
        let form = negotiated(asking.headers(), &FORMS);
        Ok(Self { filter, page: Asked { after, limit, binding, filters, form } })
    }

    fn describe(operation: &mut Describing) {
        operation.query::<Q>();
        operation.query::<Own>();
    }
}

/// The part of the query that every list has.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The cursor of the page before: its `next`.
    after: Option<String>,
    /// How many rows, 50 unless said.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

fn query_of(pairs: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Some rows of a list, and the key of the last one if there are more.
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<Row<T>>,
    pub(crate) next: Option<String>,
}

type Source<T> =
    Arc<dyn Fn(Option<String>, u32) -> BoxFuture<'static, Result<Page<T>, Failure>> + Send + Sync>;

/// A list, of which the pages are read as they are needed.
pub(crate) struct List<T> {
    asked: Asked,
    source: Source<T>,
}

impl<T: Send + Sync + Clone + 'static> List<T> {
    /// A list that the store reads page by page. The source gets the key of the last row before, and how many rows.
    pub(crate) fn paged<F, Fut>(asked: Asked, source: F) -> Self
    where
        F: Fn(Option<String>, u32) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Page<T>, Failure>> + Send + 'static,
    {
        Self { asked, source: Arc::new(move |after, limit| Box::pin(source(after, limit))) }
    }

    /// A list that is in memory, each row with its key. Rows without a readable key come last.
    pub(crate) fn whole(asked: Asked, mut rows: Vec<(String, Row<T>)>) -> Self {
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        let rows = Arc::new(rows);
        Self::paged(asked, move |after, limit| {
            let from = after.map_or(0, |after| rows.partition_point(|(key, _)| *key <= after));
            let until = rows.len().min(from + limit as usize);
            let next = (until < rows.len()).then(|| rows[until - 1].0.clone());
            let page = Page { rows: rows[from..until].iter().map(|(_, row)| row.clone()).collect(), next };
            std::future::ready(Ok(page))
        })
    }

    /// The same from what a store has listed.
    pub(crate) fn of<D>(
        asked: Asked,
        listing: Listing<D>,
        key: impl Fn(&D) -> String,
        view: impl Fn(&D) -> T,
    ) -> Self {
        let damaged = listing.damaged.iter().map(|row| (row.name.clone(), Row::Damaged(DamagedRow::of(row))));
        let whole = listing.items.iter().map(|row| (key(row), Row::Whole(view(row))));
        Self::whole(asked, whole.chain(damaged).collect())
    }
}

/// All rows of a list as a file to download, in a form that its address decides.
pub(crate) struct Saved<T> {
    pub(crate) name: String,
    pub(crate) list: List<T>,
}

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for Saved<T> {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        let mut response = self.list.answer(headers).await?;
        response.headers_mut().insert(CONTENT_DISPOSITION, disposition(&self.name));
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        List::<T>::describe(operation);
    }
}

/// One page of a list as JSON.
#[derive(Serialize)]
struct Shown<'a, T> {
    items: &'a [Row<T>],
    next: Option<&'a str>,
}

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for List<T> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let Self { asked, source } = self;
        match asked.form {
            "text/csv" => Ok(streamed("text/csv; charset=utf-8", source, Csv::of::<T>())),
            "application/jsonl" => Ok(streamed("application/jsonl", source, JsonLines)),
            _ => {
                let page = source(asked.after.clone(), asked.limit).await?;
                let next = page.next.map(|key| asked.binding.cursor(&key));
                let shown = Shown { items: &page.rows, next: next.as_deref() };
                let text =
                    serde_json::to_string(&shown).map_err(|error| Failure::unexpected(error.to_string()))?;
                let mut response = text.into_response();
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if let Some(link) = next.and_then(|next| asked.link(&next)) {
                    response.headers_mut().insert(LINK, link);
                }
                Ok(response)
            }
        }
    }

    fn describe(operation: &mut Describing) {
        let (row, damaged) = (operation.schema::<T>(), operation.schema::<DamagedRow>());
        let items = json!({ "type": "array", "items": { "anyOf": [row, damaged] } });
        let next = json!({ "type": ["string", "null"], "description": "The cursor of the next page." });
        let page = json!({
            "type": "object",
            "required": ["items", "next"],
            "properties": { "items": items, "next": next },
        });
        let text = json!({ "type": "string" });
        operation.answer(
            200,
            "A page, or all rows in a stream.",
            &[("application/json", page), ("text/csv", text.clone()), ("application/jsonl", text)],
        );
        operation.answer_header(200, "Link", "The next page, as `rel=\"next\"`.");
    }
}

impl Asked {
    /// All rows, as `text/csv` or as `application/jsonl`.
    pub(crate) fn all_as(form: &'static str) -> Self {
        let (after, filters) = (None, Vec::new());
        Self { after, limit: LIMIT, binding: Binding::new("", &filters), filters, form }
    }

    /// The next page, as a link from this one.
    fn link(&self, next: &str) -> Option<HeaderValue> {
        let own = [("limit".to_owned(), self.limit.to_string()), ("after".to_owned(), next.to_owned())];
        let query = query_of(&self.filters.iter().cloned().chain(own).collect::<Vec<_>>());
        HeaderValue::from_str(&format!("<?{query}>; rel=\"next\"")).ok()
    }
}

/// All rows of a list as a file of CSV, for a link of a page: browsers do not ask for a form.
pub(crate) struct CsvFile<T> {
    name: &'static str,
    source: Source<T>,
}

impl<T> CsvFile<T> {
    /// A list that the store reads page by page, as [`List::paged`] takes it.
    pub(crate) fn of<F, Fut>(name: &'static str, source: F) -> Self
    where
        F: Fn(Option<String>, u32) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Page<T>, Failure>> + Send + 'static,
    {
        Self { name, source: Arc::new(move |after, limit| Box::pin(source(after, limit))) }
    }
}

impl<T: Serialize + ToSchema + Send + Sync + 'static> Answer for CsvFile<T> {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = streamed("text/csv; charset=utf-8", self.source, Csv::of::<T>());
        response.headers_mut().insert(CONTENT_DISPOSITION, disposition(self.name));
        Ok(response)
    }

    fn describe(_: &mut Describing) {}
}

/// How rows become lines.
trait Lines<T>: Send + 'static {
    fn begin(&mut self) -> Result<Vec<u8>, String>;
    fn lines(&mut self, rows: &[Row<T>]) -> Result<Vec<u8>, String>;
}

/// Sends all rows, a page in memory at a time. A page that cannot be read breaks the answer off, so that nobody takes it
/// for the whole.
fn streamed<T: Send + Sync + 'static>(
    kind: &'static str,
    source: Source<T>,
    lines: impl Lines<T>,
) -> Response {
    enum At {
        Beginning,
        After(Option<String>),
        End,
    }
    let pages = stream::try_unfold((At::Beginning, source, lines), |(at, source, mut lines)| async move {
        let broken_off = |failure: Failure| std::io::Error::other(failure.code().to_owned());
        let (mut text, after) = match at {
            At::Beginning => (lines.begin().map_err(std::io::Error::other)?, None),
            At::After(key) => (Vec::new(), key),
            At::End => return Ok(None),
        };
        let page = source(after, STREAMED).await.map_err(broken_off)?;
        text.extend(lines.lines(&page.rows).map_err(std::io::Error::other)?);
        let at = page.next.map_or(At::End, |key| At::After(Some(key)));
        Ok::<_, std::io::Error>(Some((Bytes::from(text), (at, source, lines))))
    });
    let mut response = Body::from_stream(pages).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

struct JsonLines;

impl<T: Serialize + Send + Sync> Lines<T> for JsonLines {
    fn begin(&mut self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn lines(&mut self, rows: &[Row<T>]) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, row).map_err(|error| error.to_string())?;
            text.push(b'\n');
        }
        Ok(text)
    }
}

/// The columns are the fields of the rows; what is wrong with a damaged row comes last.
struct Csv {
    columns: Vec<String>,
}

impl Csv {
    fn of<T: ToSchema>() -> Self {
        let mut known = BTreeSet::new();
        let fields = Describing::fields::<T>().into_iter().map(|(name, ..)| name);
        let columns =
            fields.chain(["damaged".to_owned()]).filter(|name| known.insert(name.clone())).collect();
        Self { columns }
    }

    fn record<'a>(
        writer: &mut csv::Writer<Vec<u8>>,
        cells: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        writer.write_record(cells).map_err(|error| error.to_string())
    }
}

impl<T: Serialize + Send + Sync> Lines<T> for Csv {
    fn begin(&mut self) -> Result<Vec<u8>, String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        Self::record(&mut writer, self.columns.iter().map(String::as_str))?;
        writer.into_inner().map_err(|error| error.to_string())
    }

    fn lines(&mut self, rows: &[Row<T>]) -> Result<Vec<u8>, String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            let row = serde_json::to_value(row).map_err(|error| error.to_string())?;
            let cells: Vec<_> = self.columns.iter().map(|column| cell(&row[column.as_str()])).collect();
            Self::record(&mut writer, cells.iter().map(String::as_str))?;
        }
        writer.into_inner().map_err(|error| error.to_string())
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
