//! The things that a right can be about, and how each is found.

use stepbox::batch::access::{Principal, Right, Scope, Thing};
use stepbox::batch::execution::JobExecution;
use stepbox::batch::job::JobInstance;
use stepbox::batch::name::{InstanceCode, JobExecutionId};
use stepbox::batch::ports::RepositoryError;
use stepbox::{Error, Tenant};

use crate::conventions::asking::Asking;
use crate::conventions::failure::Failure;
use crate::conventions::input::plain_number;

/// The handle with which a thing is found.
#[derive(Clone)]
pub(crate) enum Handles {
    Tenant(Tenant),
    Installation,
}

/// A kind of thing, as a type.
pub(crate) trait ThingOf: Send + Sync + 'static {
    /// The word for it.
    const KIND: &'static str;
    /// Whether it is in a tenant, or belongs to the installation.
    const IN_TENANT: bool = true;
    /// The right to know that it is there.
    const SEEN_BY: Right = Right::View;
    /// What was found.
    type Found: Send + Sync + 'static;

    /// The thing that the path of a request names.
    fn find(
        handles: &Handles,
        asking: &Asking,
    ) -> impl Future<Output = Result<Option<Self::Found>, Failure>> + Send;

    /// The thing of that name.
    fn named(_: &Handles, _: &str) -> impl Future<Output = Result<Option<Self::Found>, Failure>> + Send {
        std::future::ready(Ok(None))
    }

    /// The thing that is judged.
    fn thing(found: &Self::Found) -> Thing<'_>;

    /// The scope that a token needs.
    fn scope(right: Right) -> Option<Scope>;

    /// Whether it is no secret that the thing is there, for somebody who is in its tenant.
    fn is_no_secret(_: &Principal, _: &Self::Found) -> bool {
        false
    }
}

/// A thing of a tenant.
pub(crate) trait InTenant {}

/// A thing of the installation.
pub(crate) trait InInstallation: ThingOf {}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident $kind:literal $thing:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl InTenant for $name {}

        impl ThingOf for $name {
            const KIND: &'static str = $kind;
            type Found = ();

            async fn find(_: &Handles, _: &Asking) -> Result<Option<()>, Failure> {
                Ok(Some(()))
            }

            async fn named(_: &Handles, _: &str) -> Result<Option<()>, Failure> {
                Ok(Some(()))
            }

            fn thing((): &()) -> Thing<'_> {
                Thing::$thing
            }

            fn scope(right: Right) -> Option<Scope> {
                Thing::$thing.scope(right)
            }

            /// Every tenant has one, and the principal is already in the tenant.
            fn is_no_secret(principal: &Principal, (): &()) -> bool {
                principal.role().is_some()
            }
        }
    )+};
}
places! {
    /// See [`Thing::Tenant`].
    TheTenant "tenant" Tenant
    /// See [`Thing::Connectors`].
    Connectors "connectors" Connectors
    /// See [`Thing::Steps`].
    Steps "steps" Steps
    /// See [`Thing::Instances`].
    Instances "instances" Instances
    /// See [`Thing::Executions`].
    Executions "executions" Executions
    /// See [`Thing::Files`].
    Files "files" Files
    /// See [`Thing::FileChanges`].
    FileChanges "files" FileChanges
    /// See [`Thing::Members`].
    Members "members" Members
    /// See [`Thing::Trail`].
    Trail "audit trail" Trail
}

macro_rules! of_installation {
    ($($(#[$doc:meta])* $name:ident $kind:literal)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl InInstallation for $name {}

        impl ThingOf for $name {
            const KIND: &'static str = $kind;
            const IN_TENANT: bool = false;
            type Found = ();

            async fn find(_: &Handles, _: &Asking) -> Result<Option<()>, Failure> {
                Ok(Some(()))
            }

            fn thing((): &()) -> Thing<'_> {
                Thing::$name
            }

            fn scope(right: Right) -> Option<Scope> {
                Thing::$name.scope(right)
            }

            /// There always is an installation.
            fn is_no_secret(_: &Principal, (): &()) -> bool {
                true
            }
        }
    )+};
}
of_installation! {
    /// See [`Thing::Installation`].
    Installation "installation"
    /// See [`Thing::InstallationTrail`].
    InstallationTrail "audit trail"
}

/// Executions that a body names: each of them is judged by itself, so this stands for the tenant alone.
#[derive(Debug)]
pub(crate) struct ToLaunch;

impl InTenant for ToLaunch {}

impl ThingOf for ToLaunch {
    const KIND: &'static str = "executions";
    /// A code that no instance has: what holds for it holds for any instance that no list is about.
    type Found = InstanceCode;

    async fn find(_: &Handles, _: &Asking) -> Result<Option<InstanceCode>, Failure> {
        Ok(InstanceCode::new("_".repeat(100)).ok())
    }

    fn thing(found: &InstanceCode) -> Thing<'_> {
        Thing::Execution(found)
    }

    fn scope(right: Right) -> Option<Scope> {
        any_code(|code| Thing::Execution(code).scope(right))
    }

    fn is_no_secret(principal: &Principal, _: &InstanceCode) -> bool {
        principal.role().is_some()
    }
}

/// One instance, by its code.
#[derive(Debug)]
pub(crate) struct OneInstance;

impl InTenant for OneInstance {}

impl ThingOf for OneInstance {
    const KIND: &'static str = "instance";
    type Found = JobInstance;

    async fn find(handles: &Handles, asking: &Asking) -> Result<Option<JobInstance>, Failure> {
        Self::named(handles, asking.path("code")).await
    }

    async fn named(handles: &Handles, code: &str) -> Result<Option<JobInstance>, Failure> {
        let Handles::Tenant(tenant) = handles else { return Ok(None) };
        let Ok(code) = InstanceCode::new(code) else { return Ok(None) };
        Ok(tenant.find_instance(&code).await?)
    }

    fn thing(found: &JobInstance) -> Thing<'_> {
        Thing::Instance(&found.code)
    }

    fn scope(right: Right) -> Option<Scope> {
        any_code(|code| Thing::Instance(code).scope(right))
    }
}

/// One execution, by its number. Parts of a step that was split are executions of their own, and are not found here.
#[derive(Debug)]
pub(crate) struct OneExecution;

impl InTenant for OneExecution {}

impl ThingOf for OneExecution {
    const KIND: &'static str = "execution";
    const SEEN_BY: Right = Right::History;
    type Found = JobExecution;

    async fn find(handles: &Handles, asking: &Asking) -> Result<Option<JobExecution>, Failure> {
        Self::named(handles, asking.path("execution")).await
    }

    async fn named(handles: &Handles, number: &str) -> Result<Option<JobExecution>, Failure> {
        execution(handles, number).await
    }

    fn thing(found: &JobExecution) -> Thing<'_> {
        Thing::Execution(&found.instance)
    }

    fn scope(right: Right) -> Option<Scope> {
        any_code(|code| Thing::Execution(code).scope(right))
    }
}

/// The files that steps of one execution have written.
#[derive(Debug)]
pub(crate) struct OneOutput;

impl InTenant for OneOutput {}

impl ThingOf for OneOutput {
    const KIND: &'static str = "execution";
    const SEEN_BY: Right = Right::History;
    type Found = JobExecution;

    async fn find(handles: &Handles, asking: &Asking) -> Result<Option<JobExecution>, Failure> {
        execution(handles, asking.path("execution")).await
    }

    fn thing(found: &JobExecution) -> Thing<'_> {
        Thing::Outputs(&found.instance)
    }

    fn scope(right: Right) -> Option<Scope> {
        any_code(|code| Thing::Outputs(code).scope(right))
    }

    /// Who may see the execution knows that it has written files.
    fn is_no_secret(principal: &Principal, found: &JobExecution) -> bool {
        principal.may(Right::History, Thing::Execution(&found.instance))
    }
}

async fn execution(handles: &Handles, number: &str) -> Result<Option<JobExecution>, Failure> {
    let Handles::Tenant(tenant) = handles else { return Ok(None) };
    let Some(id) = plain_number(number) else { return Ok(None) };
    match tenant.execution(JobExecutionId(id)).await {
        Ok(execution) if execution.partition.is_none() => Ok(Some(execution)),
        Ok(_) | Err(Error::NotFound { .. } | Error::Repository(RepositoryError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What does not depend on the code of an instance.
fn any_code<T>(ask: impl FnOnce(&InstanceCode) -> Option<T>) -> Option<T> {
    InstanceCode::new("any").ok().and_then(|code| ask(&code))
}
