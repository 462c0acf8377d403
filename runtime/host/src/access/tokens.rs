//! Tokens of programs.

use std::borrow::Cow;

use stepbox_batch::access::{NewToken, Principal, Token, TokenId, TokenText, TokenWish};
use stepbox_batch::actor::Actor;
use stepbox_batch::name::{TenantId, UserName};
use stepbox_batch::ports::{Listing, TokenPrincipal};
use stepbox_batch::visible::on_one_line;

use super::Accounts;
use super::error::AccountError;
use super::secrets::{hash_of_token, random_token};
use crate::error::Error;

/// The longest name of a token, in characters.
const NAME_CHARACTERS_MAX: usize = 100;
const HOUR_MS: i64 = 3_600_000;

impl Accounts {
    /// Makes a token for a principal, who owns it: a user who signed in, or the owner of the token with which it is
    /// made. Returns its text, which nobody can look up later.
    ///
    /// Refuses a token that would be wider than the principal.
    pub async fn create_token(
        &self,
        maker: &Principal,
        wish: TokenWish,
    ) -> Result<(TokenText, Token), Error> {
        let owner = maker.user.clone().ok_or(AccountError::NoOwner)?;
        let now = self.installation.clock.now();
        check_name(&wish.name)?;
        maker.may_make(&wish, now).map_err(AccountError::Token)?;
        let text = random_token()?;
        let made_by = maker.token.as_ref().map(|token| token.id);
        let new = NewToken { hash: hash_of_token(&text), owner, wish, made_by };
        let by = match self.user {
            Some(_) => self.by()?,
            None => Actor::new(Some(new.owner.as_str()), now),
        };
        let id = self.repository().create_token(&new, &Actor { at: now, ..by }).await?;
        let NewToken { owner, wish, .. } = new;
        let TokenWish { name, tenant, instance, scopes, expires_at } = wish;
        let token = Token {
            id,
            name,
            owner,
            tenant,
            instance,
            scopes,
            created_at: now,
            expires_at,
            last_used_at: None,
            made_by,
        };
        Ok((text, token))
    }

    /// Who a token stands for at this moment, in a tenant or in none; `None` if the token cannot be used.
    ///
    /// Nothing is remembered between two calls: a token that was revoked elsewhere is dead at once.
    pub async fn principal_of_token(
        &self,
        text: &str,
        tenant: Option<&TenantId>,
    ) -> Result<Option<TokenPrincipal>, Error> {
        let Some(text) = TokenText::parse(text) else { return Ok(None) };
        let now = self.installation.clock.now();
        let found = self.repository().principal_of_token(&hash_of_token(&text), tenant, now).await?;
        // To the hour: the exact moment is of no use, and would be a write for each request.
        let hour = stepbox_batch::clock::Timestamp(now.0.div_euclid(HOUR_MS) * HOUR_MS);
        if let Some(TokenPrincipal { token, .. }) = &found
            && token.last_used_at.is_none_or(|used| used < hour)
        {
            // A store that is busy does not keep anybody out.
            let _ = self.repository().touch_token(token.id, hour).await;
        }
        Ok(found)
    }

    /// The tokens of the installation, by number; of one owner if that is given.
    pub async fn tokens(&self, owner: Option<&UserName>) -> Result<Listing<Token>, Error> {
        Ok(self.repository().tokens(None, owner).await?)
    }

    /// Revokes a token of the installation, and every token that was made with it.
    ///
    /// With `owner`, only a token of that owner is found.
    pub async fn revoke_token(&self, id: TokenId, owner: Option<&UserName>) -> Result<(), Error> {
        Ok(self.repository().revoke_token(None, id, owner, &self.by()?).await?)
    }
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let is_good = !name.trim().is_empty()
        && name.len() <= 4 * NAME_CHARACTERS_MAX
        && name.chars().count() <= NAME_CHARACTERS_MAX
        && matches!(on_one_line(name), Cow::Borrowed(_));
    if is_good { Ok(()) } else { Err(AccountError::BadTokenName) }
}
