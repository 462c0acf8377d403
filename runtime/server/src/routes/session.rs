//! Signing in and out, and one's own password.

use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use serde::Serialize;
use stepbox_api::session::{ChangePassword, Identity, SignIn};
use stepbox_api::user::UseLink;
use utoipa::ToSchema;

use crate::access::{Anybody, Signed, cookie};
use crate::conventions::answer::{Answer, Done, Shown};
use crate::conventions::asking::Client;
use crate::conventions::describing::Describing;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, InPath, With};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/session", "Who you are, and what you may use.", show)
        .post("/session", "Sign in with a password.", sign_in)
        .delete("/session", "Sign out.", sign_out)
        .post(
            "/session/password",
            "Change your password. All your sessions end, and a new one begins.",
            change_password,
        )
        .post(
            "/one-time-links/{secret}",
            "Use a one-time link: create the first operator, or set a password.",
            use_link,
        )
}

/// An answer that gives the browser a session, or takes it away.
struct InSession<A> {
    session: Option<String>,
    client: Client,
    base_path: String,
    answer: A,
}

impl<A: Answer> Answer for InSession<A> {
    async fn answer(self, headers: &HeaderMap) -> Result<Response, Failure> {
        let cookie = cookie(self.session.as_deref(), &self.client, &self.base_path);
        let mut response = self.answer.answer(headers).await?;
        response.headers_mut().append(SET_COOKIE, cookie);
        Ok(response)
    }

    fn describe(operation: &mut Describing) {
        A::describe(operation);
        for status in [200, 204] {
            operation.answer_header(status, "Set-Cookie", "The session.");
        }
    }
}

/// A session that has begun.
#[derive(Debug, Serialize, ToSchema)]
struct Begun {
    /// The name of the user.
    user: String,
    /// When the session ends if it is not used.
    expires_at: String,
}

/// A link that was used.
#[derive(Debug, Serialize, ToSchema)]
struct UsedLink {
    /// The name of the user, who can sign in now.
    user: String,
}

async fn show(signed: Signed, (): ()) -> Result<Shown<Identity>, Failure> {
    Ok(Shown(Identity::of(signed.principal(), signed.expires_at().await?)))
}

async fn sign_in(
    anybody: Anybody,
    (With(tools), Body(SignIn { user, password })): (With, Body<SignIn>),
) -> Result<InSession<Shown<Begun>>, Failure> {
    let signed_in = anybody.sign_in(&user, &password).await;
    tools.meters.signed_in(if signed_in.is_ok() { "ok" } else { "refused" });
    let signed_in = signed_in?;
    let begun = Begun { user: signed_in.user.to_string(), expires_at: signed_in.expires_at.to_string() };
    Ok(InSession {
        session: Some(signed_in.id.as_str().to_owned()),
        client: anybody.client().clone(),
        base_path: tools.base_path().to_owned(),
        answer: Shown(begun),
    })
}

async fn sign_out(signed: Signed, With(tools): With) -> Result<InSession<Done>, Failure> {
    signed.sign_out().await?;
    tools.streams.rights_changed();
    let (client, base_path) = (signed.client().clone(), tools.base_path().to_owned());
    Ok(InSession { session: None, client, base_path, answer: Done })
}

async fn change_password(
    signed: Signed,
    (With(tools), Body(ChangePassword { current, new })): (With, Body<ChangePassword>),
) -> Result<InSession<Shown<Begun>>, Failure> {
    let signed_in = signed.change_password(&current, &new).await?;
    tools.streams.rights_changed();
    let begun = Begun { user: signed_in.user.to_string(), expires_at: signed_in.expires_at.to_string() };
    Ok(InSession {
        session: Some(signed_in.id.as_str().to_owned()),
        client: signed.client().clone(),
        base_path: tools.base_path().to_owned(),
        answer: Shown(begun),
    })
}

async fn use_link(
    anybody: Anybody,
    (With(tools), InPath(secret), Body(UseLink { user, password })): (With, InPath<'l'>, Body<UseLink>),
) -> Result<Shown<UsedLink>, Failure> {
    let user = anybody.use_link(&secret, user.as_deref(), &password).await?;
    tools.streams.rights_changed();
    Ok(Shown(UsedLink { user: user.to_string() }))
}
