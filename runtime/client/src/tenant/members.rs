//! Members of the tenant, their rights at instances, and tokens.

use stepbox_api::member::{InstanceRights, Member, SetMember};
use stepbox_api::token::{CreateToken, CreatedToken, Token};

use super::Tenant;
use crate::ask::Ask;
use crate::error::ClientError;
use crate::pages::Pages;

impl Tenant {
    /// The members of the tenant, by name.
    pub fn members(&self) -> Pages<Member> {
        self.pages(&["members"], Vec::new())
    }

    /// Gives a user a role in the tenant, or another role.
    pub async fn set_member(&self, user: &str, set: &SetMember) -> Result<Member, ClientError> {
        self.json(Ask::put(self.path(&["members", user])).json(set)?).await
    }

    /// Takes a user's role in the tenant away.
    pub async fn remove_member(&self, user: &str) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["members", user]))).await
    }

    /// Who has which right at an instance.
    pub async fn instance_rights(&self, code: &str) -> Result<InstanceRights, ClientError> {
        self.get(&["instances", code, "rights"]).await
    }

    /// Sets who has which right at an instance.
    pub async fn set_instance_rights(
        &self,
        code: &str,
        rights: &InstanceRights,
    ) -> Result<InstanceRights, ClientError> {
        self.json(Ask::put(self.path(&["instances", code, "rights"])).json(rights)?).await
    }

    /// The tokens that the asking user has in the tenant.
    pub fn tokens(&self) -> Pages<Token> {
        self.pages(&["tokens"], Vec::new())
    }

    /// Everybody's tokens in the tenant, for its administrators.
    pub fn tokens_of_everybody(&self) -> Pages<Token> {
        self.pages(&["tokens"], vec![("all", "true".to_owned())])
    }

    /// Makes a token with the rights of the asking user in the tenant. Its text comes once, in this answer.
    pub async fn create_token(&self, new: &CreateToken) -> Result<CreatedToken, ClientError> {
        self.json(Ask::post(self.path(&["tokens"])).json(new)?).await
    }

    /// Revokes a token of the tenant, and all tokens that were made with it.
    pub async fn revoke_token(&self, id: u64) -> Result<(), ClientError> {
        self.nothing(Ask::delete(self.path(&["tokens", &id.to_string()]))).await
    }
}
