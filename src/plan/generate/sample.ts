/** The plan that `rowfleet generate-config` prints: every key with its default, valid as it stands. */
export function samplePlan(): string {
  return sample;
}

const sample = `# yaml-language-server: $schema=./node_modules/rowfleet/dist/src/plan/plan.schema.json
# A rowfleet plan. Check it with:  rowfleet migrate -c plan.yaml --dry-run

name: my-migration                    # defaults to the name of this file

# Where the rows come from and where they go. \${VARIABLE} is taken from the environment; passwords are never stored.
source: \${SOURCE_DATABASE_URL}        # postgres://user:password@host:5432/database?sslmode=verify-full
target: \${TARGET_DATABASE_URL}
# Or setting by setting:
# source_database:
#   host: db.example.org
#   port: 5432
#   user: reader
#   password: \${SOURCE_PASSWORD}
#   database: old
#   ssl_mode: verify-full             # disable | allow | prefer | require | verify-ca | verify-full

# DDL files for the target, relative to this file; applied when a table is missing.
# schema: [sql/target.sql]

migration:
  batch_size: 1000                    # rows of a flow's first batch; adaptive sizing goes on from there
  max_retries: 3                      # how often a failed batch is tried again
  timeout_per_batch: 30s              # 500ms, 30s, 2m: when an attempt at a batch is given up
  # batch_seconds: 2                  # how long a batch should take, at most half of timeout_per_batch
  # max_batch_mb: 256                 # how much a batch may carry
  parallel_workers: 2                 # loaders that migrate starts when it brings its own fleet
  validation_level: standard          # basic: accounting and counts | standard: digests and relationships too
  quarantine_limit:                   # refused rows are set aside; beyond this many of them the run stops
    rows: 1000                        # of the whole run; 0: stop at the first one
    ratio: 0.01                       # of a flow's rows
  # throttle:                         # what holds the run back while a server is not well, and for how long at most
  #   replication_lag: {limit: 60s, at_most: 15m}   # of the target's standbys; this is the default, off: not at all
  #   source_sessions: {limit: 40}    # active ones, besides rowfleet's; see README for the others
  #   disk: {target_gb: 500}
  enable_rollback: false              # true is not built yet
  backup_before_migrate: false        # true is refused while the target's tables hold rows
  dry_run: false                      # true: check everything, write nothing

# allow_non_empty: true               # add to target tables that hold rows already

# Same name, same shape in both databases: a list such as [tags, "app.users"], or "*" for every table.
tables: "*"

# Into a new shape: one flow for each way from a driving table to a target table.
# flows:
#   - name: chunks
#     from: chunks c                  # the driving table and its alias; batches are ranges of it
#     join: left join texts t on t.id = c.text_id
#     where: c.content <> ''
#     to: unified_chunks
#     columns:                        # target column: SQL expression over the source
#       id: c.id
#       kind: "'chunk'"
#       title: t.title
#       content: btrim(c.content)
#       metadata: c.meta || jsonb_build_object('position', c.position)
`;
