use super::super::token::TokenId;
use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DAY_MS: u64 = 24 * 3_600_000;

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn other() -> TenantId {
    TenantId::new("other").unwrap()
}

fn code(text: &str) -> InstanceCode {
    InstanceCode::new(text).unwrap()
}

/// A member of `acme`, who acts there.
fn member(role: Role) -> Principal {
    Principal {
        user: Some(UserName::new("julia").unwrap()),
        memberships: BTreeMap::from([(acme(), role)]),
        tenant: Some(acme()),
        ..Principal::default()
    }
}

fn operator() -> Principal {
    Principal::unlimited(Some(UserName::new("root").unwrap()), Some(acme()))
}

/// A token of `acme` with these scopes, separated by spaces; `*` for all.
fn token(scopes: &str) -> TokenLimits {
    let scopes = match scopes {
        "*" => BTreeSet::from(Scope::ALL),
        some => some.split_whitespace().map(|scope| scope.parse().unwrap()).collect(),
    };
    let expires_at = NOW.plus_ms(30 * DAY_MS);
    TokenLimits { id: TokenId(1), tenant: Some(acme()), instance: None, scopes, expires_at }
}

fn with(principal: Principal, token: TokenLimits) -> Principal {
    Principal { token: Some(token), ..principal }
}

fn all_things(code: &InstanceCode) -> [Thing<'_>; 14] {
    use Thing::*;
    [
        Installation,
        InstallationTrail,
        Tenant,
        Connectors,
        Steps,
        Instances,
        Instance(code),
        Executions,
        Execution(code),
        Outputs(code),
        Files,
        FileChanges,
        Members,
        Trail,
    ]
}

/// What a principal may do, one line for each thing: `Steps: view edit`.
fn told(principal: &Principal) -> String {
    let nightly = code("nightly");
    let mut lines = Vec::new();
    for thing in all_things(&nightly) {
        let rights: Vec<_> = Right::ALL.into_iter().filter(|right| principal.may(*right, thing)).collect();
        let rights: Vec<_> = rights.into_iter().map(Right::as_str).collect();
        if !rights.is_empty() {
            let name = format!("{thing:?}");
            lines.push(format!("{}: {}", name.split('(').next().unwrap(), rights.join(" ")));
        }
    }
    lines.join("\n")
}

/// Every role × every right × every thing: what is not in the table is refused.
#[test]
fn each_role_may_do_what_its_table_says() {
    let viewer = "Tenant: view
Connectors: view
Steps: view
Instances: view
Instance: view
Executions: history
Execution: history
Outputs: history";
    let with_launch = "Tenant: view
Connectors: view
Steps: view
Instances: view
Instance: view launch
Executions: history
Execution: history launch
Outputs: history
Files: launch
FileChanges: launch";
    let author = "Tenant: view
Connectors: view edit
Steps: view edit
Instances: view edit
Instance: view launch edit
Executions: history
Execution: history launch
Outputs: history
Files: launch
FileChanges: launch";
    let administrator = "Tenant: view administer
Connectors: view edit
Steps: view edit
Instances: view edit
Instance: view launch edit
Executions: history administer
Execution: history launch
Outputs: history
Files: launch
FileChanges: launch
Members: administer
Trail: administer";
    let of_installation = "Installation: operate
InstallationTrail: operate
Tenant: view administer operate
Connectors: view edit
Steps: view edit
Instances: view edit
Instance: view launch edit
Executions: history administer
Execution: history launch
Outputs: history
Files: launch
FileChanges: launch
Members: administer
Trail: administer";
    let rows = [
        (member(Role::Viewer), viewer),
        (member(Role::Operator), with_launch),
        (member(Role::Author), author),
        (member(Role::Administrator), administrator),
        (operator(), of_installation),
        (Principal::default(), ""),
        // A member of another tenant, or of none.
        (Principal { tenant: Some(other()), ..member(Role::Administrator) }, ""),
        (Principal { memberships: BTreeMap::new(), ..member(Role::Administrator) }, ""),
        // Looked up for no tenant: the lists of its instances are unknown.
        (Principal { tenant: None, ..member(Role::Administrator) }, ""),
        (Principal { tenant: None, ..operator() }, "Installation: operate\nInstallationTrail: operate"),
    ];
    for (principal, expected) in rows {
        assert_eq!(told(&principal), expected, "{principal:?}");
    }
}

/// Which rights are left at `nightly` and its executions.
fn at_nightly(principal: &Principal) -> String {
    let nightly = code("nightly");
    let rows = [
        ("view", Right::View, Thing::Instance(&nightly)),
        ("edit", Right::Edit, Thing::Instance(&nightly)),
        ("launch", Right::Launch, Thing::Instance(&nightly)),
        ("stop", Right::Launch, Thing::Execution(&nightly)),
        ("history", Right::History, Thing::Execution(&nightly)),
        ("outputs", Right::History, Thing::Outputs(&nightly)),
    ];
    let left = rows.into_iter().filter(|(_, right, thing)| principal.may(*right, *thing));
    left.map(|(name, ..)| name).collect::<Vec<_>>().join(" ")
}

#[test]
fn lists_of_an_instance_take_rights_away_and_give_none() {
    use InstanceRight::*;
    let rows: [(Role, &[InstanceRight], &str); 10] = [
        (Role::Author, &[], "view edit launch stop history outputs"),
        (Role::Author, &[Edit], "view launch stop history outputs"),
        (Role::Author, &[Launch], "view edit history outputs"),
        // Who may not know of an execution cannot stop it, but may launch the instance.
        (Role::Author, &[History], "view edit launch"),
        (Role::Author, &[Edit, Launch, History], "view"),
        // Who may not view it has nothing of it.
        (Role::Author, &[View], ""),
        (Role::Operator, &[Edit], "view launch stop history outputs"),
        (Role::Viewer, &[Launch], "view history outputs"),
        (Role::Viewer, &[History], "view"),
        (Role::Administrator, &[View, Edit, Launch, History], "view edit launch stop history outputs"),
    ];
    for (role, barred, expected) in rows {
        let barred = Barred::from([(code("nightly"), barred.iter().copied().collect())]);
        let principal = Principal { barred: barred.clone(), ..member(role) };
        assert_eq!(at_nightly(&principal), expected, "{role} {barred:?}");
        let elsewhere = Principal {
            barred: barred.into_iter().map(|(_, rights)| (code("nightly2"), rights)).collect(),
            ..member(role)
        };
        assert_eq!(at_nightly(&elsewhere), at_nightly(&member(role)), "a name that begins alike");
        // An operator of the installation passes, also as a mere viewer of the tenant.
        let operator = Principal { is_operator: true, ..principal };
        assert_eq!(at_nightly(&operator), "view edit launch stop history outputs");
    }
}

#[test]
fn a_list_of_executions_leaves_out_what_one_may_not_see() {
    use InstanceRight::*;
    let barred = Barred::from([
        (code("a"), BTreeSet::from([History])),
        (code("b"), BTreeSet::from([View])),
        (code("c"), BTreeSet::from([Edit, Launch])),
    ]);
    let told = |role, right| {
        let principal = Principal { barred: barred.clone(), ..member(role) };
        let codes = principal.barred_from(right);
        codes.iter().map(InstanceCode::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(Role::Author, History), "a b");
    assert_eq!(told(Role::Author, View), "b");
    assert_eq!(told(Role::Author, Edit), "b c");
    assert_eq!(told(Role::Administrator, History), "");
}

#[test]
fn a_token_takes_away_all_but_its_scopes() {
    let rows = [
        (Role::Viewer, "", ""),
        (Role::Administrator, "executions:read", "Tenant: view\nExecutions: history\nExecution: history"),
        (Role::Administrator, "executions:launch", "Instance: launch\nExecution: launch"),
        (Role::Viewer, "executions:launch", ""),
        (Role::Administrator, "instances:read", "Instances: view\nInstance: view"),
        (Role::Administrator, "instances:write", "Instances: edit\nInstance: edit"),
        (Role::Operator, "instances:write connectors:write steps:write", ""),
        (Role::Author, "connectors:read connectors:write", "Connectors: view edit"),
        (Role::Author, "steps:read steps:write", "Steps: view edit"),
        (Role::Viewer, "files:read", "Outputs: history"),
        (Role::Operator, "files:read files:write", "Outputs: history\nFiles: launch\nFileChanges: launch"),
        (Role::Author, "audit:read administer operate", ""),
        (Role::Administrator, "audit:read", "Trail: administer"),
        (
            Role::Administrator,
            "administer operate",
            "Tenant: administer\nExecutions: administer\nMembers: administer",
        ),
    ];
    for (role, scopes, expected) in rows {
        assert_eq!(told(&with(member(role), token(scopes))), expected, "{role} {scopes}");
    }
    for role in Role::ALL {
        assert_eq!(told(&with(member(role), token("*"))), told(&member(role)), "all scopes give nothing");
    }
}

#[test]
fn a_token_works_in_its_tenant_alone() {
    // A tenant's token of an operator of the installation does not operate the installation.
    let in_tenant = with(operator(), token("*"));
    assert_eq!(told(&in_tenant), told(&member(Role::Administrator)));
    let elsewhere = Principal { tenant: Some(other()), ..in_tenant.clone() };
    assert_eq!(told(&elsewhere), "");
    assert_eq!(told(&Principal { tenant: None, ..in_tenant.clone() }), "");
    assert!(in_tenant.may_enter(&acme()) && !in_tenant.may_enter(&other()));

    // A token of the installation works everywhere, while its owner is an operator.
    let of_installation = TokenLimits { tenant: None, ..token("*") };
    assert_eq!(told(&with(operator(), of_installation.clone())), told(&operator()));
    assert_eq!(told(&with(member(Role::Administrator), of_installation.clone())), "");
    let trail = TokenLimits { tenant: None, ..token("audit:read") };
    assert_eq!(told(&with(operator(), trail)), "InstallationTrail: operate\nTrail: administer");
}

#[test]
fn a_bound_token_works_for_its_instance_alone() {
    let bound = |only: &str| TokenLimits { instance: Some(code(only)), ..token("*") };
    let its_own =
        "Instance: view launch edit\nExecution: history launch\nOutputs: history\nFileChanges: launch";
    assert_eq!(told(&with(member(Role::Administrator), bound("nightly"))), its_own);
    assert_eq!(told(&with(operator(), bound("nightly"))), its_own);
    for other in ["night", "nightly2", "Nightly"] {
        assert_eq!(told(&with(member(Role::Administrator), bound(other))), "FileChanges: launch", "{other}");
    }
    let barred = Barred::from([(code("nightly"), BTreeSet::from([InstanceRight::View]))]);
    let narrowed = Principal { barred, ..with(member(Role::Author), bound("nightly")) };
    assert_eq!(told(&narrowed), "FileChanges: launch");
}

#[test]
fn nobody_makes_a_token_that_is_wider_than_the_maker() {
    let wish = |tenant: Option<TenantId>, instance: Option<&str>, scopes: &str, days: u64| TokenWish {
        name: "ci".to_owned(),
        tenant,
        instance: instance.map(code),
        scopes: if scopes.is_empty() { BTreeSet::new() } else { token(scopes).scopes },
        expires_at: NOW.plus_ms(days * DAY_MS),
    };
    let (here, there) = (Some(acme()), Some(other()));
    let signed_in = member(Role::Viewer);
    let of_token = with(member(Role::Author), token("executions:read executions:launch"));
    let bound = with(
        member(Role::Author),
        TokenLimits { instance: Some(code("nightly")), ..token("executions:launch") },
    );
    let rows = [
        (&signed_in, wish(here.clone(), None, "executions:read", 90), "ok"),
        // A scope that the role does not give today is of no use, so it does no harm.
        (&signed_in, wish(here.clone(), None, "administer", 90), "ok"),
        (&signed_in, wish(here.clone(), None, "", 90), "token-without-scope"),
        (&signed_in, wish(here.clone(), None, "executions:read", 0), "token-expiry"),
        (&signed_in, wish(here.clone(), None, "executions:read", 366), "ok"),
        (&signed_in, wish(here.clone(), None, "executions:read", 367), "token-expiry"),
        (&signed_in, wish(there.clone(), None, "executions:read", 90), "token-too-wide"),
        (&signed_in, wish(None, None, "executions:read", 90), "token-too-wide"),
        (&signed_in, wish(here.clone(), None, "operate", 90), "token-too-wide"),
        (&operator(), wish(None, None, "operate", 90), "ok"),
        (&operator(), wish(there.clone(), None, "executions:read", 90), "ok"),
        (&operator(), wish(None, Some("nightly"), "executions:read", 90), "token-too-wide"),
        (&of_token, wish(here.clone(), None, "executions:read", 30), "ok"),
        (&of_token, wish(here.clone(), Some("nightly"), "executions:read", 30), "ok"),
        (&of_token, wish(here.clone(), None, "executions:read", 31), "token-too-wide"),
        (&of_token, wish(here.clone(), None, "executions:read files:read", 30), "token-too-wide"),
        (&of_token, wish(there, None, "executions:read", 30), "token-too-wide"),
        (&of_token, wish(None, None, "executions:read", 30), "token-too-wide"),
        (&bound, wish(here.clone(), Some("nightly"), "executions:launch", 30), "ok"),
        (&bound, wish(here.clone(), Some("weekly"), "executions:launch", 30), "token-too-wide"),
        (&bound, wish(here, None, "executions:launch", 30), "token-too-wide"),
    ];
    for (maker, wish, expected) in rows {
        let told = maker.may_make(&wish, NOW).map_or_else(|refusal| refusal.code(), |()| "ok");
        assert_eq!(told, expected, "{wish:?}");
    }
    // A token of an operator that is bound to a tenant makes none of the installation.
    let in_tenant = with(operator(), token("*"));
    let refused = in_tenant.may_make(&wish(None, None, "executions:read", 1), NOW);
    assert_eq!(refused, Err(TokenRefusal::Wider { what: "tenant" }));
}
