//! The same for many executions: those that were selected, or all that match.

use stepbox_api::bulk::BulkAction;
use stepbox_web::frame::Frame;
use stepbox_web::pages::tracker::address;
use stepbox_web::pages::tracker::bulk::{Action, Meant, action_of, ask, result};
use stepbox_web::{Head, Markup, Place};

use super::{Asked, filter_of};
use crate::access::{Launch, May, ToLaunch};
use crate::conventions::failure::Failure;
use crate::conventions::input::{Caller, With};
use crate::pages::answer::{Either, Go, Page};
use crate::pages::form::{Pairs, Query};
use crate::pages::visit::Visit;
use crate::routes::bulk::{IDS_MAX, carry_out, matching};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/tenants/{tenant}/executions/all", "Ask what is done to all that match.", ask_about_all)
        .post(
            "/tenants/{tenant}/executions/selected",
            "Ask before it is done to the selected ones.",
            selected,
        )
        .post("/tenants/{tenant}/executions/bulk", "Do the same to many executions.", carry)
}

type Launcher = Visit<May<Launch, ToLaunch>>;

/// The fields of the forms.
#[derive(Debug, Default)]
struct Sent {
    filter: String,
    ids: Vec<u64>,
    action: Option<Action>,
    /// The execution whose row has the button that was pressed.
    stop: Option<u64>,
    expected_count: Option<u64>,
}

impl Sent {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        let wrong = |name: &str| {
            Failure::bad_request("body-invalid", format!("the form is not what is expected: `{name}`"))
        };
        let mut sent = Self::default();
        for (name, value) in pairs {
            let number = || value.parse::<u64>().map_err(|_| wrong(&name));
            match name.as_str() {
                "filter" => sent.filter = value,
                "id" => sent.ids.push(number()?),
                "stop" => sent.stop = Some(number()?),
                "expected_count" => sent.expected_count = Some(number()?),
                "action" => sent.action = Some(action_of(&value).ok_or_else(|| wrong(&name))?),
                "look" => {}
                _ => return Err(wrong(&name)),
            }
        }
        // A number that is there twice is one execution.
        sent.ids.sort_unstable_by_key(|id| u64::MAX - *id);
        sent.ids.dedup();
        if sent.ids.len() > IDS_MAX {
            return Err(Failure::bad_request(
                "body-invalid",
                format!("at most {IDS_MAX} executions at a time"),
            ));
        }
        Ok(sent)
    }
}

fn page(frame: &Frame, title: &str, markup: &Markup) -> Markup {
    let head = Head::new(Place::Tracker, title).below("Process tracker", frame.at("executions"));
    frame.page(&head, markup)
}

/// All that match, as many as may be meant at a time.
async fn all_of(visit: &Launcher, text: &str) -> Result<(Vec<u64>, Meant), Failure> {
    let filter = filter_of(text, visit.may.tenant(), &visit.reader)?;
    let mut ids = matching(&visit.may, filter).await?;
    let is_too_many = ids.len() > IDS_MAX;
    ids.truncate(IDS_MAX);
    let meant = Meant::Matching { count: ids.len() as u64, is_too_many };
    Ok((ids, meant))
}

async fn ask_about_all(visit: Launcher, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    let frame = visit.frame().await?;
    let (_, meant) = all_of(&visit, &asked.filter).await?;
    Ok(Page::ok(page(&frame, "All that match", &ask(&frame, &asked.filter, &meant, None, None))))
}

/// The buttons of the list. Stop in a row acts at once: it can be undone by a restart.
async fn selected(
    visit: Launcher,
    (With(tools), Caller(who), Pairs(pairs)): (With, Caller, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let sent = Sent::read(pairs)?;
    let frame = visit.frame().await?;
    if let Some(id) = sent.stop {
        let answer = carry_out(&visit.may, &tools, &who, BulkAction::Stop, vec![id], 1).await?;
        if answer.outcomes.iter().all(|outcome| outcome.is_done) {
            return Ok(Either::Other(Go::to(address(&frame, &sent.filter))));
        }
        let Some(stop) = action_of("stop") else { return Err(Failure::no_route()) };
        let markup = result(&frame, &sent.filter, stop, &answer.outcomes);
        return Ok(Either::One(Page::ok(page(&frame, "Stop", &markup))));
    }
    let Some(action) = sent.action else { return Ok(Either::Other(Go::to(address(&frame, &sent.filter)))) };
    let markup = ask(&frame, &sent.filter, &Meant::Selected(sent.ids), Some(action), None);
    Ok(Either::One(Page::ok(page(&frame, action.label, &markup))))
}

async fn carry(
    visit: Launcher,
    (With(tools), Caller(who), Pairs(pairs)): (With, Caller, Pairs),
) -> Result<Either<Page, Go>, Failure> {
    let Sent { filter, ids, action, expected_count, .. } = Sent::read(pairs)?;
    let frame = visit.frame().await?;
    let Some(action) = action else { return Ok(Either::Other(Go::to(address(&frame, &filter)))) };
    let (ids, meant) = match ids.is_empty() {
        true => all_of(&visit, &filter).await?,
        false => (ids.clone(), Meant::Selected(ids)),
    };
    let expected = expected_count.unwrap_or(0);
    match carry_out(&visit.may, &tools, &who, action.action, ids, expected).await {
        Ok(answer) => {
            let markup = result(&frame, &filter, action, &answer.outcomes);
            Ok(Either::One(Page::ok(page(&frame, action.label, &markup))))
        }
        // The list has changed since the question, so it is asked again with the present number.
        Err(failure) if failure.code() == "count-differs" => {
            let markup = ask(&frame, &filter, &meant, Some(action), Some(failure.problem()));
            Ok(Either::One(Page::refused(&failure, page(&frame, action.label, &markup))))
        }
        Err(failure) => Err(failure),
    }
}
