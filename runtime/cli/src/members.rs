//! `stepbox members`: who has which role in the tenant.

use stepbox::batch::visible::Visible;
use stepbox_api::member::Member;

use crate::args::access::Members;
use crate::error::CliError;
use crate::output::list;
use crate::output::table::{Column, Table};
use crate::output::{Answer, talk};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Members) -> Result<Answer, CliError> {
    match verb {
        Members::List(format) => {
            let members = site.members().await?;
            if members.is_empty() {
                talk("the tenant has no members; `stepbox members set` makes a user one");
            }
            Ok(list::answer(format.format, &members, table))
        }
        Members::Set { name, role, format } => {
            let member = site.set_member(&name, role).await?;
            talk(format!("`{name}` is {role} in the tenant `{}`", site.tenant_name()));
            Ok(Answer::new(format.format, Visible::default, || &member))
        }
        Members::Remove { name } => {
            site.remove_member(&name).await?;
            talk(format!("`{name}` has no role in the tenant `{}` any more", site.tenant_name()));
            Ok(Answer::nothing())
        }
    }
}

fn table(members: &[&Member]) -> Table {
    let columns = [Column::Left("user"), Column::Left("role")];
    Table::of(columns, members, |member| [member.user.clone(), member.role.into_role().as_str().to_owned()])
}
