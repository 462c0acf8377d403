//! Connectors and their jobs: installed from a folder, found by code or label.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::json;
use stepbox_batch::instance_form::FormRights;
use stepbox_batch::inventory::{Component, Connector};
use stepbox_batch::job::{Job, JobInstance};
use stepbox_batch::name::ConnectorCode;
use stepbox_batch::nearest::nearest;
use stepbox_batch::ports::{Damaged, Listing, RepositoryError};
use stepbox_batch::remedy::{Listed, Remedy};
use stepbox_sandbox::ComponentError;
use tokio::fs::File;

use super::{Tenant, Upload, receive_component};
use crate::connector_file::{self, ComponentSource, ConnectorFile, ConnectorFolder, Known};
use crate::error::{BrokenInstance, Error};
use crate::job_lifecycle::effective;
use crate::signature::{SIGNATURE_BYTES_MAX, SIGNATURE_SUFFIX};

/// A connector that was checked and not installed.
#[derive(Debug, Clone)]
pub struct InspectedConnector {
    /// The connector, as it would be installed.
    pub connector: Connector,
    /// The components that its steps use: those that come with it, and those that are there.
    pub components: Vec<Component>,
    /// The installed connector of the same code, which it would replace.
    pub replaced: Option<Connector>,
    /// The instances that can run today and could not run with it.
    pub broken: Vec<BrokenInstance>,
}

/// What becomes of the components that come with a connector.
#[derive(Debug, Clone, Copy)]
enum Keeping {
    /// They are checked and stored.
    Kept,
    /// They are checked.
    Inspected,
}

impl Tenant {
    /// Installs the connector in a folder with its components, or replaces the connector with the same code.
    ///
    /// Fails if existing instances could run before and could not run with the new connector. Executions keep
    /// the job that they were submitted with.
    pub async fn install_connector(&self, folder: &Path) -> Result<Connector, Error> {
        let (connector, _) = self.connector_in(self.given(folder)?, Keeping::Kept).await?;
        self.put_unless_it_breaks(connector).await
    }

    /// Installs the connector in a folder like [`install_connector`](Self::install_connector), even if
    /// instances can no longer run.
    pub async fn replace_connector(&self, folder: &Path) -> Result<Connector, Error> {
        let (connector, _) = self.connector_in(self.given(folder)?, Keeping::Kept).await?;
        self.put_connector(connector).await
    }

    /// Installs a connector like [`install_connector`](Self::install_connector) from a folder that this program has
    /// made itself, such as an unpacked package.
    ///
    /// The folder may be in the data folder. The program must have written each file in the folder: a hard link to a
    /// file of the installation would be read.
    pub async fn install_package(&self, folder: &Path) -> Result<Connector, Error> {
        let (connector, _) = self.connector_in(opened(folder)?, Keeping::Kept).await?;
        self.put_unless_it_breaks(connector).await
    }

    /// Installs a package like [`install_package`](Self::install_package), even if instances can no longer run.
    pub async fn replace_with_package(&self, folder: &Path) -> Result<Connector, Error> {
        let (connector, _) = self.connector_in(opened(folder)?, Keeping::Kept).await?;
        self.put_connector(connector).await
    }

    async fn put_unless_it_breaks(&self, connector: Connector) -> Result<Connector, Error> {
        let instances = self.broken_by(&connector).await?;
        if !instances.is_empty() {
            return Err(Error::BreaksInstances { connector: connector.code, instances, hidden: 0 });
        }
        self.put_connector(connector).await
    }

    /// Checks a package like [`install_package`](Self::install_package), and stores nothing, neither the connector nor
    /// its components.
    pub async fn inspect_package(&self, folder: &Path) -> Result<InspectedConnector, Error> {
        let (connector, components) = self.connector_in(opened(folder)?, Keeping::Inspected).await?;
        let broken = self.broken_by(&connector).await?;
        let known = self.installation.repository.connectors(&self.id).await?;
        let replaced = known.into_iter().find(|known| known.code == connector.code);
        Ok(InspectedConnector { connector, components, replaced, broken })
    }

    /// A folder that somebody names, which may have anything in it.
    fn given(&self, folder: &Path) -> Result<ConnectorFolder, Error> {
        Ok(opened(folder)?.behind(&self.installation.wall))
    }

    /// Reads and checks the connector in a folder like [`install_connector`](Self::install_connector), without keeping
    /// anything of it.
    ///
    /// Signatures are not asked for: people look at a connector before its components are signed.
    pub async fn preview_connector(&self, folder: &Path) -> Result<Connector, Error> {
        self.preview_in(self.given(folder)?).await
    }

    /// Reads and checks a package as [`preview_connector`](Self::preview_connector) does with a folder. The folder is as
    /// for [`install_package`](Self::install_package).
    pub async fn preview_package(&self, folder: &Path) -> Result<Connector, Error> {
        self.preview_in(opened(folder)?).await
    }

    async fn preview_in(&self, folder: ConnectorFolder) -> Result<Connector, Error> {
        let file = ConnectorFile::read(&folder, &self.known().await?)?;
        let mut components = BTreeMap::new();
        for (name, source) in file.components() {
            let component = match source {
                ComponentSource::File(path) => self.inspect_named(&file, name, &folder, path).await?,
                ComponentSource::Uploaded(reference) => self.uploaded(&file, name, reference).await?,
            };
            components.insert(name.to_owned(), component);
        }
        let connector = file.into_connector(&components)?;
        self.refuse_native_names(&connector)?;
        Ok(connector)
    }

    /// The component for which a connector file names a file, as it would be kept.
    async fn inspect_named(
        &self,
        file: &ConnectorFile,
        name: &str,
        folder: &ConnectorFolder,
        within: &Path,
    ) -> Result<Component, Error> {
        let inspected = async {
            let opened = folder.open_file(within).map_err(|source| ComponentError::Unreadable { source })?;
            let bytes = receive_component(File::from_std(opened)).await?;
            Ok::<_, Error>((self.inspect_component(&bytes).await?, bytes.len()))
        };
        let (inspected, size) = inspected.await.map_err(|error| named(file, name, folder, within, error))?;
        Ok(Component {
            digest: inspected.digest,
            name: inspected.description.name.clone(),
            version: inspected.description.version.clone(),
            world: inspected.world.to_string(),
            size_bytes: size as u64,
            uploaded_at: self.now(),
            description: inspected.description.to_json(),
            signer: None,
        })
    }

    async fn put_connector(&self, connector: Connector) -> Result<Connector, Error> {
        self.installation.repository.put_connector(&self.id, &connector, &self.by()?).await?;
        Ok(connector)
    }

    /// Reads and checks the connector in a folder with its components.
    async fn connector_in(
        &self,
        folder: ConnectorFolder,
        keeping: Keeping,
    ) -> Result<(Connector, Vec<Component>), Error> {
        let file = ConnectorFile::read(&folder, &self.known().await?)?;
        let mut components = BTreeMap::new();
        for (name, source) in file.components() {
            let component = match source {
                ComponentSource::File(path) => self.upload_named(&file, name, &folder, path, keeping).await?,
                ComponentSource::Uploaded(reference) => self.uploaded(&file, name, reference).await?,
            };
            self.policy().components.judge(&component).map_err(|error| {
                let message = format!("`{}` is refused: {error}", component.reference());
                file.component_error(name, error.code(), message, error.help())
            })?;
            components.insert(name.to_owned(), component);
        }
        let connector = file.into_connector(&components)?;
        self.refuse_native_names(&connector)?;
        Ok((connector, components.into_values().collect()))
    }

    /// The instances that can run with the current connector of this code, and could not run with this one.
    async fn broken_by(&self, connector: &Connector) -> Result<Vec<BrokenInstance>, Error> {
        let known = self.installation.repository.connectors(&self.id).await?;
        let Some(today) = known.iter().find(|known| known.code == connector.code) else {
            return Ok(Vec::new());
        };
        let instances = self.stored_instances(None).await?.into_iter();
        let own = instances.filter(|instance| instance.connector == connector.code);
        let broken = own.filter(|instance| cannot_run(today, instance, self.rights).is_none()).filter_map(
            |instance| {
                let reason = cannot_run(connector, &instance, self.rights)?;
                Some(BrokenInstance { code: instance.code, reason })
            },
        );
        Ok(broken.collect())
    }

    /// All connectors: the native one, then the installed ones by code.
    pub async fn connectors(&self) -> Result<Listing<Connector>, Error> {
        let mut connectors = self.installation.repository.connectors(&self.id).await?;
        connectors.items.insert(0, self.installation.native_connector.clone());
        Ok(connectors)
    }

    /// Finds a connector by its code or its label.
    pub async fn connector(&self, name: &str) -> Result<Connector, Error> {
        let connectors = self.connectors().await?;
        let found =
            connectors.iter().find(|connector| connector.code.as_str() == name || connector.label == name);
        found.cloned().ok_or_else(|| {
            if let Some(damaged) = damaged(&connectors.damaged, "connector", name) {
                return damaged;
            }
            let names = connectors.iter().flat_map(|c| [c.code.as_str(), c.label.as_str()]);
            Error::not_found(
                "connector",
                name,
                nearest(name, names),
                Remedy::List { what: Listed::Connectors },
            )
        })
    }

    /// Removes an installed connector that no instance needs.
    pub async fn remove_connector(&self, code: &ConnectorCode) -> Result<(), Error> {
        if *code == self.installation.native_connector.code {
            return Err(Error::Mismatch {
                message: format!("the connector `{code}` is part of Stepbox"),
                help: "only installed connectors can be removed".to_owned(),
            });
        }
        Ok(self.installation.repository.remove_connector(&self.id, code, &self.by()?).await?)
    }

    /// All jobs, connector by connector.
    pub async fn jobs(&self) -> Result<Listing<Job>, Error> {
        let Listing { items, damaged } = self.connectors().await?;
        Ok(Listing { items: items.into_iter().flat_map(|connector| connector.jobs).collect(), damaged })
    }

    /// Finds a job by its name.
    pub async fn job(&self, name: &str) -> Result<Job, Error> {
        let jobs = self.jobs().await?;
        let found = jobs.iter().find(|job| job.name.as_str() == name);
        found.cloned().ok_or_else(|| {
            if let Some(damaged) = damaged(&jobs.damaged, "job", name) {
                return damaged;
            }
            let nearest = nearest(name, jobs.iter().map(|job| job.name.as_str()));
            Error::not_found("job", name, nearest, Remedy::List { what: Listed::Jobs })
        })
    }

    /// Uploads a component for which a connector file names a file.
    async fn upload_named(
        &self,
        file: &ConnectorFile,
        name: &str,
        folder: &ConnectorFolder,
        within: &Path,
        keeping: Keeping,
    ) -> Result<Component, Error> {
        let uploaded = self.upload_component_file(folder, within, keeping).await;
        uploaded.map_err(|error| named(file, name, folder, within, error))
    }

    /// Uploads a component from its file, with the signature beside it, if there is one.
    async fn upload_component_file(
        &self,
        folder: &ConnectorFolder,
        path: &Path,
        keeping: Keeping,
    ) -> Result<Component, Error> {
        let unreadable = |source| ComponentError::Unreadable { source };
        let opened = folder.open_file(path).map_err(unreadable)?;
        let bytes = receive_component(File::from_std(opened)).await?;
        let mut file = path.as_os_str().to_owned();
        file.push(SIGNATURE_SUFFIX);
        let signature = match folder.read(Path::new(&file), SIGNATURE_BYTES_MAX as u64) {
            // A file that is not UTF-8 is not a signature either. The check of the signature reports that.
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(error).into()),
        };
        let file = folder.path().join(file);
        let (signature, signature_file) = (signature.as_deref(), &*file.to_string_lossy());
        let upload = Upload { bytes: &bytes, signature, signature_file };
        match keeping {
            Keeping::Kept => self.upload(upload).await,
            Keeping::Inspected => self.check_upload(upload).await,
        }
    }

    /// The uploaded component that a connector file names by its name and version.
    async fn uploaded(&self, file: &ConnectorFile, name: &str, reference: &str) -> Result<Component, Error> {
        self.component(reference).await.map_err(|error| match error {
            error @ Error::NotFound { .. } => {
                let message = format!("no component `{reference}` was uploaded");
                let help = error.help().unwrap_or_default();
                let missing = file.component_error(name, "component-not-uploaded", message, help);
                missing.with_remedies(error.remedies()).into()
            }
            other => other,
        })
    }

    /// The names that a connector file may refer to.
    async fn known(&self) -> Result<Known, Error> {
        let (mut schemas, mut forms) = (BTreeMap::new(), BTreeMap::new());
        for job in self.jobs().await? {
            forms.extend(job.form.map(|form| (job.name.to_string(), form)));
            schemas.insert(job.name.to_string(), job.parameters);
        }
        let secrets = self.policy().secrets.names().map(str::to_owned).collect();
        Ok(Known { schemas, forms, native: self.installation.native.known(), secrets })
    }

    /// Refuses the names of the native connector. The store cannot do that, because it knows only the
    /// installed connectors.
    fn refuse_native_names(&self, connector: &Connector) -> Result<(), Error> {
        let native = &self.installation.native_connector;
        let taken = |kind, name: &str| {
            Err(Error::Repository(RepositoryError::AlreadyExists { kind, name: name.to_owned() }))
        };
        if connector.code == native.code || connector.label == native.label {
            return taken("connector", native.code.as_str());
        }
        match connector.jobs.iter().find(|job| native.jobs.iter().any(|native| native.name == job.name)) {
            Some(job) => taken("job", job.name.as_str()),
            None => Ok(()),
        }
    }
}

fn opened(folder: &Path) -> Result<ConnectorFolder, Error> {
    ConnectorFolder::open(folder).map_err(|error| connector_file::unreadable(folder, &error).into())
}

/// An error about a component, at the place where the connector file names its file.
fn named(file: &ConnectorFile, name: &str, folder: &ConnectorFolder, within: &Path, error: Error) -> Error {
    let path = folder.path().join(within);
    match error {
        Error::Component(ComponentError::Unreadable { source }) => {
            let message = format!("{} cannot be read: {source}", path.display());
            let help = "build the connector's steps first".to_owned();
            file.component_error(name, "component-unreadable", message, help).into()
        }
        error @ (Error::Component(_)
        | Error::Signature(_)
        | Error::UploadClosed
        | Error::Repository(
            RepositoryError::VersionExists { .. } | RepositoryError::ComponentQuota(_),
        )) => {
            let cause = match &error {
                Error::Component(error) => error.to_string(),
                Error::Signature(error) => error.to_string(),
                Error::Repository(RepositoryError::ComponentQuota(error)) => error.to_string(),
                other => other.to_string(),
            };
            let message = format!("{} is refused: {cause}", path.display());
            let help = error.help().unwrap_or_default();
            let refused = file.component_error(name, error.code(), message, help);
            refused.with_remedies(error.remedies()).into()
        }
        other => other,
    }
}

/// A job of a connector, by its name.
pub(super) fn job_of<'a>(connector: &'a Connector, name: &str) -> Result<&'a Job, Error> {
    connector.jobs.iter().find(|job| job.name.as_str() == name).ok_or_else(|| {
        let nearest = nearest(name, connector.jobs.iter().map(|job| job.name.as_str()));
        Error::not_found(
            "job",
            name,
            nearest,
            Remedy::ShowConnector { connector: connector.code.to_string() },
        )
    })
}

/// Why an instance cannot run with a connector; `None` if it can.
fn cannot_run(connector: &Connector, instance: &JobInstance, rights: FormRights) -> Option<String> {
    let Some(job) = connector.jobs.iter().find(|job| job.name == instance.job) else {
        return Some(format!("there is no job `{}`", instance.job));
    };
    match effective(job, instance, &json!({})) {
        Ok(_) => None,
        Err(Error::Violations { violations, .. }) => {
            let violations = job.guard(rights).without_values(violations);
            Some(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
        Err(other) => Some(other.to_string()),
    }
}

/// The error that an object exists but cannot be read; `None` if it is not among the damaged ones.
fn damaged(damaged: &[Damaged], kind: &str, name: &str) -> Option<Error> {
    let found = damaged.iter().find(|damaged| damaged.kind == kind && damaged.name == name)?;
    let what = format!("{kind} `{name}`");
    Some(RepositoryError::Corrupt { what, detail: found.reason.clone() }.into())
}
