create table chunks (
  id integer primary key,
  content text not null,
  embedding real[]
);

insert into chunks
select n, 'Chunk ' || n, case when n % 20 > 0 then array[n % 7, (n % 100) / 3.0, -n * 0.001, 1e-6 * n]::real[] end
from generate_series(1, 500) n;

insert into chunks values
  (1001, '', '{0,-0,3.4028235e38,1.1754944e-38}'),
  (1002, 'O''Hara "🙂"', null);
