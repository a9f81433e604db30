-- migrate:up
create index audit_action on feedback.audit (action, position desc);
create index audit_account on feedback.audit (account, position desc);
create index sessions_account on feedback.sessions (account);

-- migrate:down
drop index feedback.sessions_account, feedback.audit_account, feedback.audit_action;
