"""Further shapes of what docs/findings.md says of indexes, constraints, columns, tables; and what only looks alike."""

from tests.migration_guard.findings.writing import field, python, sql

INDEXES = [
    field("a slug is indexed", "SlugField(null=True)", "index-not-concurrent"),
    field("a foreign key is indexed", 'ForeignKey("shop.Item", models.CASCADE, null=True)', "index-not-concurrent"),
    python(
        "db_index on a field that there is",
        'operations = [migrations.AlterField("Item", "name", models.CharField(max_length=40, db_index=True))]',
        "index-not-concurrent",
    ),
    python(
        "a unique constraint with a condition is an index",
        """
operations = [
    migrations.AddConstraint(
        "Item", models.UniqueConstraint(fields=["name"], condition=models.Q(id__gt=1), name="item_name_some")
    ),
]
""",
        "index-not-concurrent",
    ),
    python(
        "an index on a table of the same migration",
        """
operations = [
    migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("day", models.DateField())]),
    migrations.AddIndex("Order", models.Index(fields=["day"], name="order_day_index")),
]
""",
    ),
    python(
        "an index that was made, taken away by Django",
        """
atomic = False
operations = [AddIndexConcurrently("Item", models.Index(fields=["name"], name="item_name_index"))]
# the next migration
operations = [migrations.RemoveIndex("Item", "item_name_index")]
""",
        "drop-index-not-concurrent",
    ),
    sql(
        "a wide index that is unique",
        "-- atomic = False\nCREATE UNIQUE INDEX CONCURRENTLY u ON shop_item (a, b, c, d);",
    ),
    sql(
        "included columns are not counted",
        "-- atomic = False\nCREATE INDEX CONCURRENTLY i ON shop_item (a) INCLUDE (b, c, d);",
    ),
    sql("CONCURRENTLY in capitals or not", "-- atomic = False\ncreate index concurrently i on shop_item (name);"),
    sql("CONCURRENTLY in a comment", "CREATE INDEX /* CONCURRENTLY */ i ON shop_item (name);", "index-not-concurrent"),
    sql("CONCURRENTLY dropped in a transaction", "DROP INDEX CONCURRENTLY i;", "concurrently-in-transaction"),
    sql(
        "CONCURRENTLY reindexed in a transaction",
        "REINDEX TABLE CONCURRENTLY shop_item;",
        "concurrently-in-transaction",
    ),
    sql("REINDEX with its option in brackets", "-- atomic = False\nREINDEX (CONCURRENTLY) TABLE shop_item;"),
    python(
        "an index that is dropped under a lock that is held",
        """
operations = [migrations.AddField("Item", "price", models.IntegerField(null=True, db_index=True))]
# the next migration
operations = [
    migrations.AddField("Item", "colour", models.IntegerField(null=True)),
    migrations.AlterField("Item", "price", models.IntegerField(null=True)),
]
""",
        "index-not-concurrent",
    ),
    python(
        "a table by its old name and its new one is one",
        """
operations = [
    migrations.RenameModel("Item", "Thing"),
    migrations.AddField("Thing", "colour", models.IntegerField(null=True)),
]
""",
        "rename-table",
    ),
    python(
        "an index that is dropped before the lock is taken",
        """
operations = [migrations.AddField("Item", "price", models.IntegerField(null=True, db_index=True))]
# the next migration
operations = [migrations.AlterField("Item", "price", models.IntegerField(null=True))]
""",
        "index-not-concurrent",
        "drop-index-not-concurrent",
    ),
    sql(
        "an index of a new column is no replacement",
        "-- atomic = False\nDROP INDEX CONCURRENTLY i;\nALTER TABLE shop_item ADD COLUMN price int;\n"
        "CREATE INDEX CONCURRENTLY j ON shop_item (price);",
    ),
    sql(
        "an index of an expression may be a replacement",
        "-- atomic = False\nDROP INDEX CONCURRENTLY i;\nCREATE INDEX CONCURRENTLY j ON shop_item (upper(name));",
        "index-dropped-first",
    ),
    sql(
        "an index of another table is no replacement",
        "DROP INDEX i;\nCREATE TABLE t (id bigint PRIMARY KEY);\nCREATE INDEX j ON t (id);",
        "drop-index-not-concurrent",
    ),
]
CONSTRAINTS = [
    python(
        "unique on a field that there is",
        'operations = [migrations.AlterField("Item", "name", models.CharField(max_length=40, unique=True))]',
        "unique-built-under-lock",
        "index-not-concurrent",
    ),
    python(
        "unique_together",
        'operations = [migrations.AlterUniqueTogether("Item", {("name", "id")})]',
        "unique-built-under-lock",
    ),
    python(
        "the operation that makes a unique constraint concurrently",
        """
atomic = False
operations = [
    SaferAddUniqueConstraint("Item", models.UniqueConstraint(fields=["name"], name="item_name_unique")),
]
""",
    ),
    field("a positive integer has a check", "PositiveIntegerField(null=True)", "check-validated-under-lock"),
    field(
        "a foreign key with a default looks it up",
        'ForeignKey("shop.Item", models.CASCADE, db_default=1, db_index=False)',
        "foreign-key-validated-under-lock",
        "foreign-key-without-index",
    ),
    python(
        "NOT VALID and VALIDATE, each committed",
        """
atomic = False
operations = [
    AddConstraintNotValid("Item", models.CheckConstraint(condition=models.Q(id__gt=0), name="item_id_positive")),
    ValidateConstraint("Item", "item_id_positive"),
]
""",
    ),
    python(
        "the operation that sets NOT NULL through a check",
        """
operations = [migrations.AddField("Item", "price", models.IntegerField(null=True))]
# the next migration
atomic = False
operations = [SaferAlterFieldSetNotNull("Item", "price", models.IntegerField())]
""",
    ),
    sql(
        "a check that is not validated proves nothing",
        "ALTER TABLE shop_item ADD CONSTRAINT there CHECK (price IS NOT NULL) NOT VALID;\n"
        "-- the next migration\nALTER TABLE shop_item ALTER COLUMN price SET NOT NULL;",
        "set-not-null-scans",
    ),
    sql(
        "a check that is validated proves it",
        "ALTER TABLE shop_item ADD CONSTRAINT there CHECK (price IS NOT NULL) NOT VALID;\n"
        "-- the next migration\nALTER TABLE shop_item VALIDATE CONSTRAINT there;\n"
        "-- the next migration\nALTER TABLE shop_item ALTER COLUMN price SET NOT NULL;",
    ),
    sql(
        "a check of another column proves nothing",
        "ALTER TABLE shop_item ADD CONSTRAINT there CHECK (price IS NOT NULL) NOT VALID;\n"
        "-- the next migration\nALTER TABLE shop_item VALIDATE CONSTRAINT there;\n"
        "-- the next migration\nALTER TABLE shop_item ALTER COLUMN colour SET NOT NULL;",
        "set-not-null-scans",
    ),
    sql(
        "a primary key from an index over a column that may be null",
        "ALTER TABLE shop_item ADD COLUMN code bigint;\n"
        "-- the next migration\n-- atomic = False\nCREATE UNIQUE INDEX CONCURRENTLY i ON shop_item (code);\n"
        "-- the next migration\nALTER TABLE shop_item ADD CONSTRAINT i PRIMARY KEY USING INDEX i;",
        "set-not-null-scans",
    ),
    sql(
        "a primary key from an index over a column that is NOT NULL",
        "-- atomic = False\nCREATE UNIQUE INDEX CONCURRENTLY i ON shop_item (name);\n"
        "-- the next migration\nALTER TABLE shop_item ADD CONSTRAINT i PRIMARY KEY USING INDEX i;",
    ),
    python(
        "a foreign key that is renamed comes back",
        """
operations = [migrations.AddField("Item", "part_of", models.ForeignKey("shop.Item", models.CASCADE, null=True))]
# the next migration
operations = [migrations.RenameField("Item", "part_of", "belongs_to")]
""",
        "index-not-concurrent",
        "foreign-key-validated-under-lock",
        "rename-column",
    ),
    python(
        "a foreign key goes",
        """
operations = [migrations.AddField("Item", "part_of", models.ForeignKey("shop.Item", models.CASCADE, null=True))]
# the next migration
operations = [migrations.AlterField("Item", "part_of", models.BigIntegerField(null=True, db_column="part_of_id"))]
""",
        "index-not-concurrent",
        "drop-constraint",
    ),
    python(
        "a foreign key goes with its column",
        """
operations = [migrations.AddField("Item", "part_of", models.ForeignKey("shop.Item", models.CASCADE, null=True))]
# the next migration
operations = [migrations.RemoveField("Item", "part_of")]
""",
        "index-not-concurrent",
        "drop-column",
    ),
    python(
        "unique_together goes with its table",
        """
operations = [migrations.AlterUniqueTogether("Item", {("name", "id")})]
# the next migration
operations = [migrations.AlterUniqueTogether("Item", set()), migrations.DeleteModel("Item")]
""",
        "unique-built-under-lock",
        "drop-table",
    ),
    python(
        "unique_together that becomes a constraint comes back",
        """
operations = [migrations.AlterUniqueTogether("Item", {("name", "id")})]
# the next migration
operations = [
    migrations.AlterUniqueTogether("Item", set()),
    migrations.AddConstraint("Item", models.UniqueConstraint(fields=["name", "id"], name="item_name_id_unique")),
]
""",
        "unique-built-under-lock",
    ),
    python(
        "unique_together of other fields does not",
        """
operations = [migrations.AlterUniqueTogether("Item", {("name", "id")})]
# the next migration
operations = [
    migrations.AlterUniqueTogether("Item", set()),
    migrations.AddConstraint("Item", models.UniqueConstraint(fields=["name"], name="item_name_unique")),
]
""",
        "unique-built-under-lock",
        "drop-constraint",
    ),
    sql("a primary key", "ALTER TABLE shop_log ADD PRIMARY KEY (id);", "unique-built-under-lock"),
    sql(
        "two actions in one statement",
        "ALTER TABLE shop_item ADD CHECK (id > 0), ADD UNIQUE (name);",
        "check-validated-under-lock",
        "unique-built-under-lock",
    ),
    sql("a unique column", "ALTER TABLE shop_item ADD COLUMN code text UNIQUE;", "unique-built-under-lock"),
    python(
        "an attribute of a model that is no schema",
        'operations = [migrations.AlterModelOptions("Item", {"ordering": ["name"]})]',
    ),
]
COLUMNS = [
    field("a nullable column", "IntegerField(null=True)"),
    field("a default of the database", "IntegerField(db_default=0)"),
    field("Now() is one value for all rows", "DateTimeField(db_default=models.functions.Now())"),
    field("a default of Python's on a nullable column", "IntegerField(null=True, default=0)"),
    field(
        "a default that is called",
        "UUIDField(default=__import__('uuid').uuid4)",
        "default-dropped-at-once",
    ),
    field("a table between two", 'ManyToManyField("shop.Item", related_name="+")'),
    sql(
        "a default that nobody knows",
        "ALTER TABLE shop_item ADD COLUMN code text DEFAULT shop_code();",
        "volatile-default",
    ),
    sql("a default that is set, not added", "ALTER TABLE shop_item ALTER COLUMN name SET DEFAULT gen_random_uuid();"),
    sql(
        "an identity is not null by itself",
        "ALTER TABLE shop_item ADD COLUMN n bigserial NOT NULL;",
        "serial-column",
        "column-type-advice",
    ),
    sql("a type that is narrowed", "ALTER TABLE shop_item ALTER COLUMN id TYPE integer;", "column-type-rewrite"),
    sql(
        "a type with USING",
        "ALTER TABLE shop_item ALTER COLUMN name TYPE jsonb USING name::jsonb;",
        "column-type-rewrite",
    ),
    sql("a length that is taken away", "ALTER TABLE shop_item ALTER COLUMN name TYPE text;"),
    sql(
        "SET EXPRESSION",
        "ALTER TABLE shop_item ALTER COLUMN label SET EXPRESSION AS (lower(name));",
        "stored-generated-column",
    ),
    sql("DROP IDENTITY", "ALTER TABLE shop_item ALTER COLUMN id DROP IDENTITY;", "drop-default"),
    python(
        "integer to bigint",
        'operations = [migrations.AddField("Item", "n", models.IntegerField(null=True))]\n'
        "# the next migration\n"
        'operations = [migrations.AlterField("Item", "n", models.BigIntegerField(null=True))]',
        "column-type-rewrite",
    ),
    python(
        "a choice, a help text and a validator are no schema",
        'operations = [migrations.AlterField("Item", "name", models.CharField(max_length=40, help_text="so"))]',
    ),
    python(
        "a column that the same migration adds and drops, of a new table",
        """
operations = [
    migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("day", models.DateField())]),
    migrations.RemoveField("Order", "day"),
]
""",
    ),
    sql("char with a length", "ALTER TABLE shop_item ADD COLUMN code char(3);", "column-type-advice"),
    sql("timestamp without its zone", "ALTER TABLE shop_item ADD COLUMN at timestamp;", "column-type-advice"),
    sql("timestamp with its zone", "ALTER TABLE shop_item ADD COLUMN at timestamp with time zone;"),
]
OBJECTS = [
    python("a table that is moved", 'operations = [migrations.AlterModelTable("Item", "things")]', "rename-table"),
    sql("a table of another schema", "ALTER TABLE shop_item SET SCHEMA archive;", "rename-table"),
    sql("a type's value", "ALTER TYPE shop_mood RENAME VALUE 'calm' TO 'quiet';", "rename-object"),
    sql("a view in another schema", "ALTER VIEW shop_names SET SCHEMA archive;", "rename-object"),
    sql("a schema that is renamed", "ALTER SCHEMA archive RENAME TO attic;", "rename-object"),
    sql("a trigger that is dropped", "DROP TRIGGER shop_stamp ON shop_item;", "drop-object"),
    sql("a view that is made anew", "CREATE VIEW v AS SELECT 1 AS one;\nDROP VIEW v;"),
    sql("row level security", "ALTER TABLE shop_item ENABLE ROW LEVEL SECURITY;", "access-change"),
    sql("a policy", "CREATE POLICY own ON shop_item USING (true);", "access-change"),
    sql("a role's setting", "ALTER ROLE app SET search_path = shop;", "access-change"),
    sql("TRUNCATE CASCADE", "TRUNCATE shop_item CASCADE;", "truncate"),
    sql(
        "a partition with a check that is validated",
        "ALTER TABLE b ADD CONSTRAINT c CHECK (day >= '2024-01-01') NOT VALID;\n"
        "-- the next migration\nALTER TABLE b VALIDATE CONSTRAINT c;\n"
        "-- the next migration\nALTER TABLE shop_bar ATTACH PARTITION b FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);",
    ),
    sql(
        "a partition with a check that is not validated",
        "ALTER TABLE b ADD CONSTRAINT c CHECK (day >= '2024-01-01') NOT VALID;\n"
        "-- the next migration\nALTER TABLE shop_bar ATTACH PARTITION b FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);",
        "attach-partition-scans",
    ),
    sql("a vacuum that locks", "-- atomic = False\nVACUUM FULL shop_item;", "full-rewrite", "may-not-run-twice"),
    sql("CLUSTER", "CLUSTER shop_item USING shop_item_pkey;", "full-rewrite"),
    sql("replica's role", "SET session_replication_role = replica;", "disable-trigger"),
    sql("a temporary table", "CREATE TEMPORARY TABLE shop_work (line text);"),
    sql("a partition needs no key of its own", "CREATE TABLE b PARTITION OF shop_bar FOR VALUES IN (1);"),
    sql(
        "three tables that there are",
        "ALTER TABLE a ADD x int;\nALTER TABLE b ADD x int;\nALTER TABLE a ADD y int;",
        "several-tables-locked",
    ),
    python("an extension by Django's operation", "operations = [BtreeGistExtension()]"),
]
