//! `stepbox tokens`: what programs come in with.

use stepbox::batch::visible::Visible;
use stepbox_api::token::Token;

use crate::args::access::Tokens;
use crate::error::CliError;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::{Answer, talk};
use crate::site::{Site, WantedToken};

pub(crate) async fn carry_out(site: &Site, verb: Tokens) -> Result<Answer, CliError> {
    match verb {
        Tokens::List { owner, installation, format } => {
            let tokens = site.tokens(installation, owner.as_ref()).await?;
            if tokens.is_empty() {
                talk("there are no such tokens; `stepbox tokens create` makes one");
            }
            Ok(list::answer(format.format, &tokens, table))
        }
        Tokens::Create { name, owner, scopes, instance, days, installation, format } => {
            let is_of_installation = installation;
            let wanted = WantedToken { name, owner, scopes, instance, days, is_of_installation };
            let created = site.create_token(wanted).await?;
            talk(format!("created token {}; its text is not shown again", created.token.id));
            Ok(Answer::new(format.format, || Visible::line(&created.text), || &created))
        }
        Tokens::Revoke { id, installation } => {
            site.revoke_token(installation, id).await?;
            talk(format!("revoked token {id}"));
            Ok(Answer::nothing())
        }
    }
}

fn table(tokens: &[&Token]) -> Table {
    let columns = [
        Column::Right("id"),
        Column::Left("name"),
        Column::Left("owner"),
        Column::Left("instance"),
        Column::Left("expires"),
        Column::Left("last used"),
        Column::Left("scopes"),
    ];
    Table::of(columns, tokens, |token| {
        [
            token.id.to_string(),
            token.name.clone(),
            token.owner.clone(),
            token.instance.clone().unwrap_or_else(|| "-".to_owned()),
            token.expires_at.clone(),
            token.last_used_at.clone().unwrap_or_else(|| "-".to_owned()),
            token.scopes.join(", "),
        ]
    })
}
