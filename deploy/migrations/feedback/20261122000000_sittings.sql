-- migrate:up
-- How long an agent held a draft before the lock that is in force, over all earlier ones.
create table feedback.sittings (
    draft_id uuid not null references feedback.drafts (draft_id) on delete cascade,
    account text not null,
    seconds double precision not null,
    primary key (draft_id, account)
);

-- migrate:down
drop table feedback.sittings;
