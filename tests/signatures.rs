//! Components that must be signed: which are accepted, and which run.

use std::io::Cursor;

use minisign::KeyPair;
use serde_json::json;
use stepbox::{ComponentsPolicy, Error, Policy, SigningKey, Tenant, Upload};
use stepbox_guest_artifacts::steps;

use crate::support::{Installation, ending, local};

/// The pair of keys of a person who signs.
pub struct Key(KeyPair);

impl Key {
    pub fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("random numbers"))
    }

    /// The public key.
    pub fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    /// A signature of some bytes.
    pub fn sign(&self, bytes: &[u8]) -> String {
        minisign::sign(None, &self.0.sk, Cursor::new(bytes), None, None).expect("a signature").into_string()
    }

    fn listed(&self, name: &str) -> SigningKey {
        SigningKey::new(name, &self.public()).expect("a public key")
    }
}

const JOB: &str = r#"
jobs:
  signed_export:
    type: export
    parameters: { extends: csv_export }
    steps:
      - name: export
        reader: { csv: { from: "${parameters.source}" } }
        processor: normalise
        writer: { csv: { to: "${parameters.storage}" } }
"#;

/// The same data with a policy that requires signatures of these keys.
async fn asking_for(installation: &Installation, keys: &[(&str, &Key)]) -> Tenant {
    let keys = keys.iter().map(|(name, key)| key.listed(name)).collect();
    let components = ComponentsPolicy { signed_by: Some(keys), ..ComponentsPolicy::default() };
    let policy = Policy::own_machine(installation.folder.path()).with_components(components);
    installation.reopened(|builder| builder.tenant(Default::default(), policy)).await
}

fn told(result: Result<stepbox::batch::inventory::Component, Error>) -> String {
    match result {
        Ok(component) => component.signer.map_or("nobody".to_owned(), |signer| signer.name),
        Err(error) => error.code().to_owned(),
    }
}

#[tokio::test]
async fn a_setting_on_signatures_has_effect_at_once() {
    let installation = Installation::new().await;
    installation.write("in.csv", "sku,price\n1,2.50\n");
    installation.install(&[("normalise", steps::NORMALISE)], JOB).await;
    let parameters = || json!({ "source": local("in.csv"), "storage": local("out.csv") });
    let run = async |tenant: &Tenant| {
        let mut running = crate::support::start(tenant, "signed_export", parameters()).await;
        ending(&running.wait().await.unwrap())
    };
    assert_eq!(run(&installation.tenant).await, "COMPLETED");

    // Components that were uploaded before need a signature when they run.
    let (acme, bolt) = (Key::new(), Key::new());
    let tenant = asking_for(&installation, &[("acme", &acme)]).await;
    let refusal = "FAILED [component-unsigned] processor `normalise`: the component `normalise@0.1.0` is refused: \
                   it is not signed";
    assert!(run(&tenant).await.starts_with(refusal));

    // With a signature a component may run. It need not be signed again by then.
    let bytes = std::fs::read(steps::NORMALISE).unwrap();
    let signature = acme.sign(&bytes);
    let upload = Upload::unsigned(&bytes);
    assert_eq!(told(tenant.upload(upload).await), "component-unsigned");
    assert_eq!(
        told(tenant.upload(upload.signed(&bolt.sign(&bytes), "s")).await),
        "component-signature-wrong"
    );
    assert_eq!(told(tenant.upload(upload.signed(&signature, "s")).await), "acme");
    assert_eq!(told(tenant.upload(upload).await), "acme");
    assert_eq!(told(tenant.upload_component_from(&bytes[..]).await), "acme");
    assert_eq!(run(&tenant).await, "COMPLETED");

    // When a key is removed from the list, its components stop running, under any name of the key.
    let tenant = asking_for(&installation, &[("acme", &bolt)]).await;
    let refusal = "FAILED [component-signature-wrong] processor `normalise`: the component `normalise@0.1.0` is \
                   refused: it is signed by `acme`";
    assert!(run(&tenant).await.starts_with(refusal));
    let error = tenant.install_connector(&installation.path("connector")).await.unwrap_err();
    assert_eq!(error.code(), "component-unsigned");
}

/// A signature is checked before the component is compiled: a component that could not even be compiled is refused
/// for its signature.
#[tokio::test]
async fn nothing_is_looked_at_before_somebody_vouches_for_it() {
    let installation = Installation::new().await;
    let key = Key::new();
    let tenant = asking_for(&installation, &[("acme", &key)]).await;
    let bytes = b"no component at all";
    let signature = key.sign(bytes);
    let upload = Upload::unsigned(bytes);
    assert_eq!(told(tenant.upload(upload).await), "component-unsigned");
    assert_eq!(
        told(tenant.upload(upload.signed(&key.sign(b"else"), "s")).await),
        "component-signature-wrong"
    );
    assert_eq!(told(tenant.upload(upload.signed(&signature, "s")).await), "component-is-text");
    assert!(tenant.components().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_of_keys_that_lets_nothing_in_is_refused_at_the_start() {
    let folder = crate::support::tempdir().unwrap();
    let components = ComponentsPolicy { signed_by: Some(Vec::new()), ..ComponentsPolicy::default() };
    let policy = Policy::nothing().with_components(components);
    let builder = stepbox::Stepbox::builder(folder.path().join("data")).tenant(Default::default(), policy);
    assert_eq!(builder.open().await.unwrap_err().code(), "policy-components-malformed");
}
