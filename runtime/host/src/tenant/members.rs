//! Members of a tenant: their roles, their rights at instances, and tokens.

use stepbox_batch::access::{InstanceRights, Member, Role, Token, TokenId};
use stepbox_batch::name::{InstanceCode, UserName};
use stepbox_batch::ports::Listing;
use stepbox_batch::remedy::{Listed, Remedy};

use super::Tenant;
use crate::error::Error;

impl Tenant {
    /// The members of the tenant, by name.
    pub async fn members(&self) -> Result<Listing<Member>, Error> {
        Ok(self.installation.repository.members(&self.id).await?)
    }

    /// Gives a user of the installation a role in the tenant, or another role.
    ///
    /// If the role changes, all sessions of the user end.
    pub async fn set_member(&self, user: &str, role: Role) -> Result<Member, Error> {
        let Ok(user) = UserName::new(user) else {
            return Err(Error::not_found("user", user, None, Remedy::List { what: Listed::Users }));
        };
        let member = Member { user, role };
        self.installation.repository.set_member(&self.id, &member, &self.by()?).await?;
        Ok(member)
    }

    /// Takes a user's role in the tenant away, and the user's places in the lists of its instances.
    ///
    /// All sessions of the user end.
    pub async fn remove_member(&self, user: &str) -> Result<(), Error> {
        let Ok(name) = UserName::new(user) else {
            return Err(Error::not_found("member", user, None, Remedy::List { what: Listed::Members }));
        };
        Ok(self.installation.repository.remove_member(&self.id, &name, &self.by()?).await?)
    }

    /// Who has which right at an instance; without any list if none was set.
    ///
    /// The lists of an instance that was deleted can still be read.
    pub async fn instance_rights(&self, code: &str) -> Result<InstanceRights, Error> {
        match InstanceCode::new(code) {
            Ok(code) => Ok(self.installation.repository.instance_rights(&self.id, &code).await?),
            Err(_) => Err(no_instance(code)),
        }
    }

    /// Sets who has which right at an instance. The lists are replaced as a whole.
    ///
    /// Each user that a list names must be a member of the tenant.
    pub async fn set_instance_rights(&self, code: &str, rights: &InstanceRights) -> Result<(), Error> {
        let Ok(instance) = InstanceCode::new(code) else { return Err(no_instance(code)) };
        let by = self.by()?;
        Ok(self.installation.repository.set_instance_rights(&self.id, &instance, rights, &by).await?)
    }

    /// The tokens of the tenant, by number; of one owner if that is given.
    pub async fn tokens(&self, owner: Option<&UserName>) -> Result<Listing<Token>, Error> {
        Ok(self.installation.repository.tokens(Some(&self.id), owner).await?)
    }

    /// Revokes a token of the tenant, and every token that was made with it.
    ///
    /// With `owner`, only a token of that owner is found.
    pub async fn revoke_token(&self, id: TokenId, owner: Option<&UserName>) -> Result<(), Error> {
        let by = self.by()?;
        Ok(self.installation.repository.revoke_token(Some(&self.id), id, owner, &by).await?)
    }
}

fn no_instance(code: &str) -> Error {
    Error::not_found("instance", code, None, Remedy::List { what: Listed::Instances })
}
