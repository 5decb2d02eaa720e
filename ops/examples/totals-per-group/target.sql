create table statements (
  id integer primary key,
  account text not null,
  booked_on date not null,
  amount numeric(12, 2) not null,
  balance numeric(14, 2) not null,
  share_of_account numeric(5, 2)
);

create table monthly_totals (
  account text not null,
  month date not null,
  bookings bigint not null,
  income numeric(14, 2) not null,
  expenses numeric(14, 2) not null,
  kinds text[] not null,
  primary key (account, month)
);
