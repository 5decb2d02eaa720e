-- expected: countries
select code, name from countries;

-- expected: customers
select id, name, mail, discount, 'legacy shop', null, true, 'de-AT', discount > 10 from clients;
