//! Sessions of people who signed in.

use stepbox_batch::name::TenantId;
use stepbox_batch::ports::SessionPrincipal;

use super::Accounts;
use super::secrets::SessionId;
use crate::error::Error;

/// How often the use of a session is noted, in milliseconds.
const SEEN_MS: u64 = 5 * 60_000;

impl Accounts {
    /// Who a session stands for at this moment, in a tenant or in none; `None` if the session cannot be used.
    ///
    /// Nothing is remembered between two calls: a session that was ended elsewhere is dead at once.
    pub async fn principal_of_session(
        &self,
        id: &str,
        tenant: Option<&TenantId>,
    ) -> Result<Option<SessionPrincipal>, Error> {
        let Some(id) = SessionId::parse(id) else { return Ok(None) };
        let (hash, now) = (id.hash(), self.installation.clock.now());
        let found = self.repository().principal_of_session(&hash, tenant, now).await?;
        if let Some(SessionPrincipal { session, .. }) = &found
            && now.ms_since(session.seen_at) >= SEEN_MS
        {
            // A store that is busy does not keep anybody out.
            let _ = self.repository().touch_session(&hash, now).await;
        }
        Ok(found)
    }

    /// Ends a session. Returns whether there was one.
    pub async fn sign_out(&self, id: &str) -> Result<bool, Error> {
        match SessionId::parse(id) {
            Some(id) => Ok(self.repository().end_session(&id.hash(), &self.by()?).await?),
            None => Ok(false),
        }
    }
}
