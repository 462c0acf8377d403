//! What components say about the forms of jobs.

use std::sync::Arc;

use serde_json::{Map, Value};
use stepbox_batch::error_kind::ErrorKind;
use stepbox_batch::form_answer::{FormAnswer, FormFailure, FormQuestion};
use stepbox_batch::inventory::Connector;
use stepbox_batch::job::Job;
use stepbox_batch::name::Digest;
use stepbox_batch::nearest::nearest;
use stepbox_batch::parameters::with_defaults;
use stepbox_batch::remedy::Remedy;
use stepbox_sandbox::digest_of;

use super::Tenant;
use super::connectors::job_of;
use crate::error::Error;
use crate::source_header;

/// What a form asks a component.
#[derive(Debug, Clone)]
pub struct FormAsk {
    /// The component, by its name in the connector file.
    pub component: String,
    /// The name of the tab or the field that asks.
    pub what: String,
    /// The parameters as they stand in the form. The caller leaves those out that the person may not see.
    pub parameters: Map<String, Value>,
    /// The parameter that names the source whose columns the component gets. `None` if there is none, or if the person
    /// may not read it.
    pub source: Option<String>,
    /// The language of the person, a tag of BCP 47.
    pub language: String,
}

impl Tenant {
    /// Asks a component about the form of a job.
    ///
    /// The component gets the question and nothing else: no grants, no files, no hosts, no secrets. Its answer only
    /// suggests: what is saved is checked by the schema of the job's parameters. The outer error is about the question,
    /// the inner one about the component; then the form is shown without it.
    ///
    /// Two questions of a tenant are answered at a time. An answer may be one that the same component gave to the same
    /// question before.
    pub async fn describe_form(
        &self,
        connector: &str,
        job: &str,
        ask: FormAsk,
    ) -> Result<Result<FormAnswer, FormFailure>, Error> {
        self.refuse_unless_active()?;
        let connector = self.connector(connector).await?;
        let job = job_of(&connector, job)?;
        let component = describer(&connector, job, &ask.component)?;
        let FormAsk { what, parameters, source, language, .. } = ask;
        let mut question = FormQuestion { what, parameters, header: Vec::new(), language };
        question.check().map_err(Error::FormQuestion)?;
        let Some(place) = self.state.describers.place().await else { return Ok(Err(FormFailure::Busy)) };
        let place = Arc::new(place);
        if let Some(source) = source {
            let parameters = with_defaults(&job.parameters, &question.parameters);
            let (policy, here) = (self.policy(), &self.installation);
            let columns =
                source_header::columns(here, &policy, &self.id, job, &source, &parameters, place.clone());
            question.header = columns.await.unwrap_or_default();
            // A very wide source is one whose columns cannot be told.
            if question.check().is_err() {
                question.header = Vec::new();
            }
        }
        let answer = self.answer(component, &question).await?;
        drop(place);
        Ok(answer
            .and_then(|answer| FormAnswer::parse(&answer, &job.parameters).map_err(FormFailure::BadAnswer)))
    }

    /// The text that a component answers, or has answered to the same question before.
    async fn answer(
        &self,
        component: &Digest,
        question: &FormQuestion,
    ) -> Result<Result<Arc<str>, FormFailure>, Error> {
        if let Some(refusal) = self.refusal_of(component).await? {
            return Ok(Err(refusal));
        }
        let asked = digest_of(question.to_text().as_bytes());
        if let Some(answer) = self.state.describers.answer(component, &asked) {
            return Ok(Ok(answer));
        }
        let program = match self.installation.program(component).await {
            Ok(program) => program,
            // The cause of a failure of the installation itself is nobody's business.
            Err(error) if matches!(error.kind(), ErrorKind::StoreUnavailable | ErrorKind::Unexpected) => {
                return Err(error);
            }
            Err(error) => return Ok(Err(FormFailure::unavailable(error.code(), &error.to_string()))),
        };
        Ok(program.describe_form(self.state.share.clone(), question).await.map(|answer| {
            let answer: Arc<str> = answer.into();
            self.state.describers.keep(component.clone(), asked, answer.clone());
            answer
        }))
    }

    /// Why the current policy does not let the component run. The policy may have been different at the upload.
    async fn refusal_of(&self, component: &Digest) -> Result<Option<FormFailure>, Error> {
        let policy = self.policy();
        if policy.components.signed_by.is_none() {
            return Ok(None);
        }
        let kept = self.components().await?.into_iter().find(|kept| kept.digest == *component);
        let kept = kept.ok_or_else(|| Error::ComponentGone(component.clone()))?;
        let judged = policy.components.judge(&kept);
        Ok(judged.err().map(|error| FormFailure::unavailable(error.code(), &error.to_string())))
    }
}

/// The component that a form names. Names belong to a connector file, so each of its jobs means the same component.
fn describer<'a>(connector: &'a Connector, job: &'a Job, name: &str) -> Result<&'a Digest, Error> {
    let all = || job.components().chain(connector.jobs.iter().flat_map(Job::components));
    all().find(|component| component.name == name).map(|component| &component.digest).ok_or_else(|| {
        let nearest = nearest(name, all().map(|component| component.name.as_str()));
        let remedy = Remedy::ShowConnector { connector: connector.code.to_string() };
        Error::not_found("component", name, nearest, remedy)
    })
}
