-- migrate:up
-- The number of the last draft asked for again (`draft.requested`); 0 is the first draft.
alter table feedback.mails add column requests integer not null default 0;

-- migrate:down
alter table feedback.mails drop column requests;
