-- expected: brands
select brand, count(*) from articles where brand is not null and brand <> '' group by brand;

-- expected: articles
select id, name, case when brand <> '' then brand end from articles;

-- expected: tags
select distinct trim(tag) from articles, regexp_split_to_table(tags, ',') tag where trim(tag) <> '';

-- expected: article_tags
select distinct id, trim(tag) from articles, regexp_split_to_table(tags, ',') tag where trim(tag) <> '';

-- expected: article_sizes
select id, n, sizes[n] from articles, generate_series(1, cardinality(sizes)) n;

-- expected: article_attributes
select id, attribute, attributes -> attribute from articles, jsonb_object_keys(attributes) attribute;
