create table statements (
  id integer primary key,
  account text not null,
  booked_on date not null,
  amount numeric(12, 2) not null,
  balance numeric not null,
  share_of_account numeric
);

create table monthly_totals (
  account text not null,
  month date not null,
  bookings bigint not null,
  income numeric not null,
  expenses numeric not null,
  kinds text[] not null,
  primary key (account, month)
);
