-- expected: customers
select id, name, email, notes from customers;

-- expected: addresses
select id, street, postcode, city from customers
where street is not null or postcode is not null or city is not null;

-- expected: preferences
select id, newsletter is true, case when language is null then 'de' else language end from customers;
