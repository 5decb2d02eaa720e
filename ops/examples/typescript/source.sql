create table messages (
  id bigint primary key,
  subject text,
  recipients text                        -- as in a mail's header: '"Huber, Ann" <ann@example.com>, bob@example.com'
);

insert into messages
select n, 'Subject ' || n, case n % 4
    when 0 then null
    when 1 then 'user' || n || '@example.com'
    when 2 then '"Last' || n || ', First" <USER' || n || '@example.com>, user' || n % 50 || '@example.com'
    else 'Plain Name <a' || n || '@example.com>, "B, ' || n || '" <b@example.com>, c@example.com'
  end
from generate_series(1, 900) n;

insert into messages values
  (-1, '', ''),
  (9007199254740993, 'The key is larger than a number of JavaScript', ' ,, '),
  (9223372036854775807, 'Odd', '"Zoë 📮, ""quoted""" <zoe@example.com>,o''hara@example.com , <only@example.com>');
