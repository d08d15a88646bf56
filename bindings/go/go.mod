module hotcold

go 1.19
