//! `stepbox users`: who may come in.

use stepbox::NewUser;
use stepbox::batch::access::{ExternalIdentity, UserChange};
use stepbox::batch::visible::Visible;
use stepbox_api::user::User;

use crate::args::access::Users;
use crate::error::CliError;
use crate::output::Format;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::{Answer, talk};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Users) -> Result<Answer, CliError> {
    match verb {
        Users::List(format) => {
            let users = site.users().await?;
            if users.is_empty() {
                talk("there are no users; `stepbox users add` makes one");
            }
            Ok(list::answer(format.format, &users, table))
        }
        Users::Add { name, label, operator, format } => {
            let new = NewUser { name: name.to_string(), label, is_operator: operator, external: None };
            let user = site.create_user(new).await?;
            talk(format!("added the user `{name}`; `stepbox users link` makes a link to set a password"));
            Ok(answer(&user, format.format))
        }
        Users::Change {
            name,
            label,
            operator,
            no_operator,
            suspend,
            resume,
            issuer,
            subject,
            no_identity,
            format,
        } => {
            let identity = issuer.zip(subject).map(|(issuer, subject)| ExternalIdentity { issuer, subject });
            let change = UserChange {
                label,
                is_operator: chosen(operator, no_operator),
                is_suspended: chosen(suspend, resume),
                external: if no_identity { Some(None) } else { identity.map(Some) },
            };
            let user = site.change_user(&name, change).await?;
            talk(format!("changed the user `{name}`"));
            Ok(answer(&user, format.format))
        }
        Users::Remove { name } => {
            site.remove_user(&name).await?;
            talk(format!("removed the user `{name}`"));
            Ok(Answer::nothing())
        }
        Users::Link { name, format } => {
            let link = site.password_link(&name).await?;
            talk(format!("the link can be used once, until {}", link.expires_at));
            Ok(Answer::new(format.format, || Visible::line(&link.secret), || &link))
        }
    }
}

/// Which of two opposite options was given.
fn chosen(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}

/// Programs receive the user as it is now.
fn answer(user: &User, format: Format) -> Answer {
    Answer::new(format, Visible::default, || user)
}

fn table(users: &[&User]) -> Table {
    let columns =
        [Column::Left("name"), Column::Left("standing"), Column::Left("password set"), Column::Left("label")];
    Table::of(columns, users, |user| {
        let standing = match (user.suspended, user.operator) {
            (true, _) => "suspended",
            (false, true) => "operator",
            (false, false) => "user",
        };
        [
            user.name.clone(),
            standing.to_owned(),
            user.password_changed_at.clone().unwrap_or_else(|| "-".to_owned()),
            user.label.clone(),
        ]
    })
}
