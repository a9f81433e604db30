-- migrate:up
-- The pipeline versions to choose from, each found in one step.
create index drafts_pipeline on feedback.drafts (pipeline, mailbox);

-- migrate:down
drop index feedback.drafts_pipeline;
