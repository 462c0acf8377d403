//! The files that pages load. Everybody may: they are the same for all.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use stepbox_web::assets::{Asset, asset};

use crate::access::Anybody;
use crate::conventions::answer::Answer;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::InPath;
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get("/assets/{file}", "A file that pages load.", show)
}

/// A file that a browser may keep for ever, since its name has a digest.
struct Kept(&'static Asset);

impl Answer for Kept {
    async fn answer(self, _: &HeaderMap) -> Result<Response, Failure> {
        let mut response = self.0.bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.0.media_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        Ok(response)
    }

    fn describe(_: &mut Describing) {}
}

async fn show(_: Anybody, InPath(name): InPath<'f'>) -> Result<Kept, Failure> {
    asset(&name).map(Kept).ok_or_else(Failure::no_route)
}
