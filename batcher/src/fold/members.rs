//! Who belongs: members and join tokens.

use schemas::event::{
    Backlog, JoinTokenIssueRequested, JoinTokenIssued, JoinTokenRevoked, MemberAddRequested,
    MemberAdded, MemberJoinRequested, MemberRemoveRequested, MemberRemoved, MemberResumed,
    MemberRoleChanged, MemberSuspended, OwnerTransferRequested, PolicyChanged, PoolCreated,
    PoolState, Refusal, TokenUsed,
};
use schemas::id::{AccountId, TokenId};
use schemas::policy::OnJoin;
use schemas::role::{Role, RoleSet};
use schemas::time::{EffectiveAt, LogTime};
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::{Pool, State};

/// Most members of a pool. A constant of the fold: a limit of a process would not replay.
const MEMBERS_MAX: usize = 100_000;
/// Most join tokens of a pool, those used up counted until they are pushed out.
const TOKENS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) roles: RoleSet,
    /// Whether it is suspended: then it counts as nothing.
    pub(super) suspended: bool,
}

impl Member {
    /// What it is now.
    fn acts_as(self, role: Role) -> bool {
        !self.suspended && self.roles.has(role)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    roles: RoleSet,
    uses_left: u32,
    expires_at: Option<LogTime>,
    revoked: bool,
}

impl Token {
    fn live(&self, clock: LogTime) -> bool {
        !self.revoked && self.uses_left > 0 && self.expires_at.is_none_or(|end| clock < end)
    }
}

impl State {
    pub(super) fn create(&mut self, created: PoolCreated, emit: &mut Emit<'_>) {
        if self.pool.is_some() {
            return emit.refuse(Refusal::PoolNameTaken);
        }
        let PoolCreated { pool, name, owner, semantics, policy } = created;
        self.semantics = self.semantics.max(semantics);
        emit.say(PolicyChanged {
            pool,
            name: name.clone(),
            version: 1,
            effective_from: EffectiveAt::default(),
            policy: policy.clone(),
            before: None,
        });
        let (from, older, life) = (EffectiveAt::default(), Vec::new(), PoolState::Open);
        self.pool = Some(Pool { id: pool, name, policy, policy_version: 1, from, older, life });
        self.set_roles(owner, RoleSet::of(&[Role::Owner]), None, emit);
    }

    pub(super) fn add_member(&mut self, ask: &MemberAddRequested, emit: &mut Emit<'_>) {
        let owner_leaves = self.is_last_owner(ask.account) && !ask.roles.has(Role::Owner);
        if self.pool.is_none() {
            emit.refuse(Refusal::NoPool);
        } else if owner_leaves {
            emit.refuse(Refusal::LastOwner);
        } else if self.members.len() >= MEMBERS_MAX && !self.members.contains_key(&ask.account) {
            emit.refuse(Refusal::MembersFull);
        } else {
            self.set_roles(ask.account, ask.roles, None, emit);
        }
    }

    pub(super) fn remove_member(&mut self, ask: &MemberRemoveRequested, emit: &mut Emit<'_>) {
        if self.is_last_owner(ask.account) {
            return emit.refuse(Refusal::LastOwner);
        }
        let Some(member) = self.members.remove(&ask.account) else {
            return emit.refuse(Refusal::NoMember);
        };
        self.contributors -= u32::from(member.acts_as(Role::Contributor));
        self.watermark.forget(ask.account);
        emit.say(MemberRemoved { account: ask.account });
    }

    pub(super) fn issue_token(&mut self, ask: &JoinTokenIssueRequested, emit: &mut Emit<'_>) {
        match self.life() {
            None => return emit.refuse(Refusal::NoPool),
            Some(PoolState::Archived) => return emit.refuse(Refusal::PoolArchived),
            Some(PoolState::Open | PoolState::Paused) => {}
        }
        if self.tokens.len() >= TOKENS_MAX {
            let clock = self.clock;
            self.tokens.retain(|_, token| token.live(clock));
        }
        if self.tokens.len() >= TOKENS_MAX {
            return emit.refuse(Refusal::TokensFull);
        }
        let JoinTokenIssueRequested { token, roles, uses_max, expires_at, .. } = *ask;
        let new = Token { roles, uses_left: uses_max, expires_at, revoked: false };
        self.tokens.insert(token, new);
        emit.say(JoinTokenIssued { token, roles, uses_max, expires_at });
    }

    pub(super) fn join(&mut self, ask: &MemberJoinRequested, emit: &mut Emit<'_>) {
        let Some(token) = self.tokens.get(&ask.token).copied() else {
            return emit.refuse(Refusal::NoToken);
        };
        let member = self.members.get(&ask.account);
        if member.is_some_and(|member| member.suspended) {
            return emit.refuse(Refusal::Suspended);
        }
        let had = member.map(|member| member.roles);
        let roles = had.unwrap_or_default().with(token.roles);
        if had == Some(roles) {
            // A repeat of a join that succeeded: the token is not used again.
            let (account, suspended) = (ask.account, false);
            return emit.say(MemberRoleChanged { account, roles, token: None, suspended });
        }
        if self.life() == Some(PoolState::Archived) {
            return emit.refuse(Refusal::PoolArchived);
        }
        if token.revoked {
            return emit.refuse(Refusal::TokenRevoked);
        }
        if token.uses_left == 0 {
            return emit.refuse(Refusal::TokenUsedUp);
        }
        if !token.live(self.clock) {
            return emit.refuse(Refusal::TokenExpired);
        }
        if self.members.len() >= MEMBERS_MAX && had.is_none() {
            return emit.refuse(Refusal::MembersFull);
        }
        let Token { roles: gives, uses_left, expires_at, .. } = token;
        let uses_left = uses_left - 1;
        self.tokens.insert(ask.token, Token { uses_left, ..token });
        let used = TokenUsed { token: ask.token, roles: gives, uses_left, expires_at };
        self.set_roles(ask.account, roles, Some(used), emit);
    }

    pub(super) fn revoke_token(&mut self, id: TokenId, emit: &mut Emit<'_>) {
        let Some(token) = self.tokens.get_mut(&id) else { return emit.refuse(Refusal::NoToken) };
        token.revoked = true;
        let Token { roles, uses_left, expires_at, .. } = *token;
        emit.say(JoinTokenRevoked { token: id, roles, uses_left, expires_at });
    }

    /// The member keeps its place and its roles, and counts as nothing.
    pub(super) fn suspend_member(&mut self, account: AccountId, emit: &mut Emit<'_>) {
        if self.is_last_owner(account) {
            return emit.refuse(Refusal::LastOwner);
        }
        self.rest(account, true, emit);
    }

    pub(super) fn resume_member(&mut self, account: AccountId, emit: &mut Emit<'_>) {
        self.rest(account, false, emit);
    }

    /// A repeat says the same again.
    fn rest(&mut self, account: AccountId, suspended: bool, emit: &mut Emit<'_>) {
        let Some(member) = self.members.get_mut(&account) else {
            return emit.refuse(Refusal::NoMember);
        };
        let was = member.acts_as(Role::Contributor);
        member.suspended = suspended;
        let (is, roles) = (member.acts_as(Role::Contributor), member.roles);
        self.contributors += u32::from(is);
        self.contributors -= u32::from(was);
        if suspended {
            self.watermark.forget(account);
            emit.say(MemberSuspended { account, roles });
        } else {
            emit.say(MemberResumed { account, roles });
        }
    }

    /// One owner more and one less at once: there is no moment without.
    pub(super) fn transfer(&mut self, ask: &OwnerTransferRequested, emit: &mut Emit<'_>) {
        let OwnerTransferRequested { by, to } = *ask;
        let (owner, admin) = (RoleSet::of(&[Role::Owner]), RoleSet::of(&[Role::Admin]));
        let getter = self.members.get(&to).filter(|getter| !getter.suspended);
        let Some(getter) = getter.copied() else { return emit.refuse(Refusal::NoMember) };
        let giver = self.members.get(&by).filter(|giver| giver.acts_as(Role::Owner));
        let Some(giver) = giver.copied() else { return emit.refuse(Refusal::NotAnOwner) };
        self.set_roles(to, getter.roles.with(owner), None, emit);
        if by != to {
            self.set_roles(by, giver.roles.without(owner).with(admin), None, emit);
        }
    }

    /// Whether the pool takes files and closes windows; `None` when there is none.
    pub(super) fn life(&self) -> Option<PoolState> {
        self.pool.as_ref().map(|pool| pool.life)
    }

    /// The contributors, by id.
    pub(super) fn contributors(&self) -> impl Iterator<Item = AccountId> {
        let contributes = |(_, member): &(_, &Member)| member.acts_as(Role::Contributor);
        self.members.iter().filter(contributes).map(|(account, _)| *account)
    }

    /// Whether the account is a member with this role, and not suspended.
    pub(super) fn has_role(&self, account: AccountId, role: Role) -> bool {
        self.members.get(&account).is_some_and(|member| member.acts_as(role))
    }

    pub(super) fn is_suspended(&self, account: AccountId) -> bool {
        self.members.get(&account).is_some_and(|member| member.suspended)
    }

    fn set_roles(
        &mut self,
        account: AccountId,
        roles: RoleSet,
        token: Option<TokenUsed>,
        emit: &mut Emit<'_>,
    ) {
        let suspended = self.is_suspended(account);
        let member = Member { roles, suspended };
        let before = self.members.insert(account, member);
        let was = before.is_some_and(|member| member.acts_as(Role::Contributor));
        self.contributors += u32::from(member.acts_as(Role::Contributor));
        self.contributors -= u32::from(was);
        if !member.acts_as(Role::Contributor) {
            self.watermark.forget(account);
        }
        match before {
            None => emit.say(MemberAdded { account, roles, backlog: self.backlog(), token }),
            Some(_) => emit.say(MemberRoleChanged { account, roles, token, suspended }),
        }
    }

    /// Which earlier results one who comes now gets.
    fn backlog(&self) -> Backlog {
        let on_join = self.pool.as_ref().map_or(OnJoin::None, |pool| pool.policy.on_join);
        match (on_join, self.latest.filter(|latest| !latest.withdrawn)) {
            (OnJoin::All, _) => Backlog::All,
            (OnJoin::Latest, Some(latest)) => Backlog::Latest(latest.result),
            (OnJoin::Latest, None) | (OnJoin::None, _) => Backlog::None,
        }
    }

    fn is_last_owner(&self, account: AccountId) -> bool {
        let owner = |(other, member): (&AccountId, &Member)| {
            *other != account && member.acts_as(Role::Owner)
        };
        self.has_role(account, Role::Owner) && !self.members.iter().any(owner)
    }
}
