//! What components say about the forms of jobs.

use stepbox::FormAsk;
use stepbox::batch::access::{Principal, Right, Thing};
use stepbox::batch::name::InstanceCode;
use stepbox_api::form_answer::FormDescription;
use stepbox_api::request::DescribeForm;

use crate::access::{Edit, Instances, May};
use crate::conventions::answer::Shown;
use crate::conventions::failure::Failure;
use crate::conventions::input::{Body, Caller, InPath, With};
use crate::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.post(
        "/tenants/{tenant}/connectors/{code}/jobs/{name}/form/describe",
        "Ask a component about the form of a job. Nothing changes, and no credentials reach the component.",
        describe,
    )
}

async fn describe(
    may: May<Edit, Instances>,
    (InPath(connector), InPath(job), With(tools), Caller(who), Body(asked)): (
        InPath<'c'>,
        InPath<'j'>,
        With,
        Caller,
        Body<DescribeForm>,
    ),
) -> Result<Shown<FormDescription>, Failure> {
    tools.limits.form_question(&who)?;
    let DescribeForm { component, what, parameters, source, language } = asked;
    // The columns of a file are a part of its content: only those who may read files, and launch jobs that read them, see
    // them here.
    let source = source.filter(|_| may_read_sources(may.principal()));
    let ask = FormAsk { component, what, parameters, source, language };
    Ok(Shown(FormDescription::of(&may.tenant().describe_form(&connector, &job, ask).await?)))
}

/// Whether the person may read uploaded files, and launch executions that read what a job names. The code is one that no
/// list is about.
pub(crate) fn may_read_sources(principal: &Principal) -> bool {
    let Ok(any) = InstanceCode::new("_".repeat(100)) else { return false };
    principal.may(Right::Launch, Thing::Files) && principal.may(Right::Launch, Thing::Execution(&any))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stepbox::batch::access::{Role, Scope, TokenId, TokenLimits};
    use stepbox::batch::clock::Timestamp;
    use stepbox::batch::name::TenantId;

    use super::*;

    /// Whether an author, or a token of one with these scopes, is shown the columns of a file.
    fn reads(role: Role, scopes: Option<&[Scope]>) -> bool {
        let tenant = TenantId::new("acme").unwrap();
        let token = scopes.map(|scopes| TokenLimits {
            id: TokenId(1),
            tenant: Some(tenant.clone()),
            scopes: BTreeSet::from_iter(scopes.iter().copied()),
            instance: None,
            expires_at: Timestamp(i64::MAX),
        });
        may_read_sources(&Principal {
            memberships: [(tenant.clone(), role)].into(),
            tenant: Some(tenant),
            token,
            ..Principal::default()
        })
    }

    #[test]
    fn the_columns_of_a_source_are_for_those_who_may_read_it() {
        assert!(reads(Role::Author, None));
        assert!(!reads(Role::Viewer, None));
        let all = [Scope::WriteInstances, Scope::ReadFiles, Scope::LaunchExecutions];
        assert!(reads(Role::Author, Some(&all)));
        for left_out in 1..3 {
            let some: Vec<_> = all.iter().copied().filter(|scope| *scope != all[left_out]).collect();
            assert!(!reads(Role::Author, Some(&some)), "{some:?}");
        }
    }
}
