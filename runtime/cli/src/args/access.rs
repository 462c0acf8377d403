//! The arguments of commands on users, members and tokens.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Subcommand};
use stepbox::batch::access::{InstanceRight, Role, Scope, TOKEN_DAYS, TOKEN_DAYS_MAX};
use stepbox::batch::name::{InstanceCode, UserName};

use super::{FormatArg, examples};

/// Who has which right at an instance, and what changes of that.
#[derive(Debug, clap::Args)]
pub(crate) struct InstanceRightsArgs {
    /// The instance's code
    pub(crate) code: String,
    /// A member who may see the instance; those who are not named may not. Can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) view: Vec<UserName>,
    /// A member who may change it. Can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) edit: Vec<UserName>,
    /// A member who may launch it, and stop its executions. Can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) launch: Vec<UserName>,
    /// A member who may look at its executions. Can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) history: Vec<UserName>,
    /// A right that nobody but administrators has. Can be repeated
    #[arg(long, value_name = "RIGHT", value_parser = instance_right())]
    pub(crate) nobody: Vec<InstanceRight>,
    /// A right about which the role decides again. Can be repeated
    #[arg(long, value_name = "RIGHT", value_parser = instance_right())]
    pub(crate) by_role: Vec<InstanceRight>,
    #[command(flatten)]
    pub(crate) format: FormatArg,
}

/// A right at an instance by its name.
fn instance_right() -> impl TypedValueParser<Value = InstanceRight> {
    PossibleValuesParser::new(InstanceRight::ALL.map(InstanceRight::as_str))
        .map(|name| name.parse().expect("only names of rights are let through"))
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// List all users of the installation
    #[command(after_long_help = examples(&["stepbox users list", "stepbox users list --format json"]))]
    List(FormatArg),
    /// Add a user, who sets a password with a link
    ///
    /// A user can do nothing until a tenant has the user as a member, or unless the user is an operator.
    #[command(after_long_help = examples(&[
        "stepbox users add julia --label 'Julia Meyer'",
        "stepbox users add root --operator",
    ]))]
    Add {
        /// The name, unique in the installation. It never changes
        name: UserName,
        /// A name for people [default: the name]
        #[arg(long)]
        label: Option<String>,
        /// The user operates the installation, and so may do everything in each tenant
        #[arg(long)]
        operator: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Change a user. A change of standing ends all sessions of the user
    #[command(
        group = ArgGroup::new("change")
            .args(["label", "operator", "no_operator", "suspend", "resume", "issuer", "no_identity"])
            .multiple(true).required(true),
        after_long_help = examples(&[
            "stepbox users change julia --suspend",
            "stepbox users change julia --resume --label 'Julia Meyer'",
            "stepbox users change root --no-operator",
            "stepbox users change julia --issuer https://id.example.com --subject 248289",
        ]),
    )]
    Change {
        /// The name
        name: UserName,
        /// Another name for people
        #[arg(long)]
        label: Option<String>,
        /// The user operates the installation from now on
        #[arg(long, conflicts_with = "no_operator")]
        operator: bool,
        /// The user does not operate the installation any more
        #[arg(long)]
        no_operator: bool,
        /// The user cannot sign in, and the user's tokens do not work, until `--resume`
        #[arg(long, conflicts_with = "resume")]
        suspend: bool,
        /// The user may sign in again
        #[arg(long)]
        resume: bool,
        /// The identity provider at which the user signs in from now on. No password lets the user in then
        #[arg(long, value_name = "URL", requires = "subject", conflicts_with = "no_identity")]
        issuer: Option<String>,
        /// Who the user is at the provider
        #[arg(long, value_name = "ID", requires = "issuer")]
        subject: Option<String>,
        /// The user does not sign in at an identity provider any more
        #[arg(long)]
        no_identity: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Remove a user, with all roles, sessions, tokens and links
    #[command(after_long_help = examples(&["stepbox users remove julia"]))]
    Remove {
        /// The name
        name: UserName,
    },
    /// Make a link with which a user sets a password, and print its secret
    ///
    /// The link can be used once, for 24 hours. Earlier links of the user are of no use any more.
    #[command(after_long_help = examples(&["stepbox users link julia"]))]
    Link {
        /// The name
        name: UserName,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// What can be done with members of a tenant.
#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// List the users who have a role in the tenant
    #[command(after_long_help = examples(&["stepbox members list --tenant acme --format json"]))]
    List(FormatArg),
    /// Give a user a role in the tenant, or another role. The user's sessions end
    #[command(after_long_help = examples(&[
        "stepbox members set julia author",
        "stepbox members set peter viewer --tenant acme",
    ]))]
    Set {
        /// The name of the user
        #[arg(value_name = "USER")]
        name: UserName,
        /// Each role may do what those before it may do
        #[arg(value_parser = role())]
        role: Role,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Take a user's role in the tenant away. The user's sessions end
    #[command(after_long_help = examples(&["stepbox members remove julia"]))]
    Remove {
        /// The name of the user
        #[arg(value_name = "USER")]
        name: UserName,
    },
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// List the tokens of the tenant
    #[command(after_long_help = examples(&["stepbox tokens list --owner julia", "stepbox tokens list --installation"]))]
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        owner: Option<UserName>,
        /// Those of the installation, and not of the tenant
        #[arg(long)]
        installation: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Create a token for a program, and print its text
    ///
    /// The token has the rights that its owner has when it is used, within its scopes. Nobody can see its text later.
    #[command(after_long_help = examples(&[
        "stepbox tokens create nightly-ci --owner julia --scopes executions:launch --instance nightly",
        "stepbox tokens create monitoring --owner root --scopes executions:read --installation",
    ]))]
    Create {
        /// What the token is for
        name: String,
        /// The user whose rights it has
        #[arg(long, value_name = "NAME")]
        owner: UserName,
        /// What it may be used for
        #[arg(long, value_name = "SCOPE", value_delimiter = ',', required = true, value_parser = scope())]
        scopes: Vec<Scope>,
        /// The only instance for which it can be used
        #[arg(long, value_name = "CODE", conflicts_with = "installation")]
        instance: Option<InstanceCode>,
        /// After how many days it expires
        #[arg(long, value_name = "N", default_value_t = TOKEN_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKEN_DAYS_MAX)))]
        days: u32,
        /// A token of the installation, for all tenants. Its owner must be an operator
        #[arg(long)]
        installation: bool,
        #[command(flatten)]
        format: FormatArg,
    },
    /// Revoke a token, and every token that was made with it
    #[command(after_long_help = examples(&["stepbox tokens revoke 7"]))]
    Revoke {
        /// Its number
        id: u64,
        /// A token of the installation, and not of the tenant
        #[arg(long)]
        installation: bool,
    },
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
        .map(|name| name.parse().expect("only names of roles are let through"))
}

fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str))
        .map(|name| name.parse().expect("only names of scopes are let through"))
}
