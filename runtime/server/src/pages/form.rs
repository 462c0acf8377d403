//! What a page's route takes: the fields of a form, and the query of a page.

use serde::de::DeserializeOwned;

use crate::conventions::asking::Asking;
use crate::conventions::body::read_form;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Input, pairs, parsed};

/// The fields of a form, as a type that refuses unknown ones.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> Input for Form<T> {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        parsed(&read_form(asking).await?).map(Self)
    }

    fn describe(_: &mut Describing) {}
}

/// The fields of a form, in their order.
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Input for Pairs {
    const TAKES_BODY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        Ok(Self(pairs(&read_form(asking).await?)))
    }

    fn describe(_: &mut Describing) {}
}

/// The query of a page, as a type that refuses unknown fields.
pub(super) struct Query<Q>(pub(super) Q);

impl<Q: DeserializeOwned + Send + 'static> Input for Query<Q> {
    const TAKES_QUERY: bool = true;

    async fn read(asking: &mut Asking) -> Result<Self, Failure> {
        let query = asking.query().to_owned();
        parsed(&query).map(Self)
    }

    fn describe(_: &mut Describing) {}
}
